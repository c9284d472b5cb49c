//! What ends a session at once.

use crate::frame::VERSION;

/// The other end has sent a frame that it must not send: the session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The first frame was not a hello.
    #[error(
        "the other end's first message was not a hello: it is not an Underpass program, or an \
         incompatible one"
    )]
    NoHello,
    /// A second hello.
    #[error("the other end said hello twice")]
    SecondHello,
    /// The other end has another version.
    #[error(
        "the other end ({build}) speaks protocol version {theirs}, this one version {VERSION}: use \
         the two programs of one release"
    )]
    Version {
        /// The version in the hello.
        theirs: u16,
        /// The build in the hello.
        build: String,
    },
    /// A Link or a Moved that may not come now.
    #[error("the other end moved to a link out of turn ({frame})")]
    Move {
        /// The frame's name.
        frame: &'static str,
    },
    /// Bytes where nothing may follow a Moved.
    #[error("the other end wrote to the standard stream after it had moved to a link")]
    AfterMoved,
    /// A frame that only this end sends.
    #[error("the other end sent a message that only this end may send ({frame})")]
    WrongDirection {
        /// The frame's name.
        frame: &'static str,
    },
}
