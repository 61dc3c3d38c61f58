"""Calls that one service alone has, such as `POST /ask`; what all have is in `service/`."""
