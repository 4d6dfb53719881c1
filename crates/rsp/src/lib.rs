//! gdb's remote serial protocol, as bytes in and typed values out, and back.
//!
//! [`frame`] finds packets in a stream and makes packets; [`request`] is what a
//! client asks, [`stop`] what a server says when something stopped, [`xfer`]
//! how long answers travel in parts, and [`agent`] the bytecode in which gdb
//! sends conditions. Both sides of the protocol are here: the server that gdb
//! and lldb talk to, and the client of other stubs.
//!
//! It does no input and output, keeps no sessions and knows no debugger: who
//! uses it moves the bytes and decides what the requests mean. No bytes make it
//! panic, and nothing it is fed makes it allocate more than a small multiple of
//! what it was fed and of the limits it was given.

#![forbid(unsafe_code)]

pub mod agent;
mod cursor;
pub mod frame;
pub mod hex;
pub mod ids;
mod put;
pub mod request;
pub mod signals;
pub mod stop;
pub mod xfer;

pub use cursor::Malformed;
pub use ids::{ThreadId, Which};
pub use request::Request;
pub use stop::StopReply;
