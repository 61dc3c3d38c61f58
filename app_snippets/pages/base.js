// The page of a service of texts that has no script of its own.
import { start, textCard } from "./service.js";

start({ card: (node, hit) => textCard(node, hit) });
