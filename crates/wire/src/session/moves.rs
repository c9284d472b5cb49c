//! The move to a link: which end may announce it when.

use super::{Role, Session, Violation};
use crate::frame::Frame;

/// How far a session has moved to a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moves {
    /// The gateway has offered a link.
    is_offered: bool,
    /// This end has sent Moved.
    has_sent: bool,
    /// The other end has.
    has_received: bool,
}

impl Moves {
    /// Judges a Link or a Moved of the other end.
    ///
    /// # Errors
    /// [`Violation::Move`].
    pub(super) fn judge(&mut self, role: Role, frame: &Frame<'_>) -> Result<(), Violation> {
        if let Frame::Link { .. } = frame {
            self.is_offered = true;
            return if self.has_received { Err(Violation::Move { frame: "Link" }) } else { Ok(()) };
        }
        let may_move = match role {
            Role::Gateway => self.has_sent,
            Role::Relay => self.is_offered,
        };
        if self.has_received || !may_move {
            return Err(Violation::Move { frame: "Moved" });
        }
        self.has_received = true;
        Ok(())
    }
}

impl Session {
    /// Appends the frame Moved to `out`. It must be the last one that the standard stream carries:
    /// the owner sends what [`Session::fill`] gives from now on by the link. A relay calls this
    /// after it has received the gateway's Moved.
    pub fn move_out(&mut self, out: &mut Vec<u8>) {
        debug_assert!(!self.moves.has_sent, "this end has moved before");
        debug_assert!(self.peer.is_some(), "a move before the hello");
        self.moves.has_sent = true;
        self.append(&Frame::Moved, out);
    }
}
