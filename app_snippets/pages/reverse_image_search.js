// The page of the reverse image search: a card is a picture, and one may search by a picture of one's own.
import { pictureCard, start } from "./service.js";

start({
  card: pictureCard,
  about: ({ category, credit, licence }) => [category, credit, licence],
});
