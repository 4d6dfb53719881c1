//! What a row of the table says.

/// A packet of the protocol.
pub(crate) struct Row {
    /// How it begins, up to what it carries.
    pub(crate) packet: &'static str,
    /// What the client wants by it.
    pub(crate) wants: &'static str,
    pub(crate) support: Support,
}

pub(crate) enum Support {
    /// Done, which a conversation shows.
    Yes {
        /// What the client sends before.
        first: &'static [&'static str],
        /// The packet.
        send: &'static str,
        /// What has to come back, as a pattern for all of it.
        answer: &'static str,
        /// Tests in which a debugger sends it, by file and name.
        tests: &'static [&'static str],
    },
    /// Done, which only tests show in which a debugger sends it.
    Elsewhere { tests: &'static [&'static str] },
    /// Answered as packets are that a server does not know.
    No {
        send: &'static str,
        /// What is done instead, or why nothing is.
        why: &'static str,
    },
}

/// A packet that is answered at the first instruction of the program.
pub(crate) const fn yes(
    packet: &'static str,
    wants: &'static str,
    send: &'static str,
    answer: &'static str,
) -> Row {
    Row { packet, wants, support: Support::Yes { first: &[], send, answer, tests: &[] } }
}

/// A packet that takes more than a packet to be shown.
pub(crate) const fn elsewhere(
    packet: &'static str,
    wants: &'static str,
    tests: &'static [&'static str],
) -> Row {
    Row { packet, wants, support: Support::Elsewhere { tests } }
}

/// A packet that is not known.
pub(crate) const fn no(packet: &'static str, wants: &'static str, why: &'static str) -> Row {
    Row { packet, wants, support: Support::No { send: packet, why } }
}

/// A packet that is not known, as it is sent.
pub(crate) const fn no_as(
    packet: &'static str,
    send: &'static str,
    wants: &'static str,
    why: &'static str,
) -> Row {
    Row { packet, wants, support: Support::No { send, why } }
}

impl Row {
    /// The packets that come before.
    pub(crate) const fn after(self, before: &'static [&'static str]) -> Self {
        let support = match self.support {
            Support::Yes { send, answer, tests, .. } => {
                Support::Yes { first: before, send, answer, tests }
            }
            other => other,
        };
        Self { support, ..self }
    }

    /// Tests in which a debugger sends the packet.
    pub(crate) const fn seen_in(self, seen: &'static [&'static str]) -> Self {
        let support = match self.support {
            Support::Yes { first, send, answer, .. } => {
                Support::Yes { first, send, answer, tests: seen }
            }
            other => other,
        };
        Self { support, ..self }
    }
}
