//! The WebSocket wire on the viewers' side: no IO.
