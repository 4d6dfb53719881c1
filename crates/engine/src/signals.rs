//! How each signal is treated: gdb's table and gdb's defaults.

use trapline_core::stop::Signal;

use crate::command::SignalPolicy;

/// The table, by signal number.
#[derive(Clone, Debug)]
pub(crate) struct SignalTable {
    policies: Vec<SignalPolicy>,
}

impl Default for SignalTable {
    fn default() -> Self {
        let all = (0..=Signal::MAX.0).map(|number| default_policy(Signal(number)));
        Self { policies: all.collect() }
    }
}

/// gdb's defaults: signals that are part of normal life pass in silence, the
/// debugger's own are not passed, everything else stops.
fn default_policy(signal: Signal) -> SignalPolicy {
    const SILENT: [i32; 8] = [
        14, // SIGALRM
        17, // SIGCHLD
        23, // SIGURG
        26, // SIGVTALRM
        27, // SIGPROF
        28, // SIGWINCH
        32, // thread cancellation in the C library
        33, // setxid in the C library
    ];
    let stop = !SILENT.contains(&signal.0);
    let pass = signal != Signal::TRAP && signal != Signal::INT;
    SignalPolicy { stop, print: stop, pass }
}

impl SignalTable {
    pub(crate) fn get(&self, signal: Signal) -> SignalPolicy {
        usize::try_from(signal.0)
            .ok()
            .and_then(|index| self.policies.get(index).copied())
            .unwrap_or(SignalPolicy { stop: true, print: true, pass: true })
    }

    /// Changes a row; stopping implies printing, as in gdb.
    pub(crate) fn change(
        &mut self,
        signal: Signal,
        stop: Option<bool>,
        print: Option<bool>,
        pass: Option<bool>,
    ) {
        let Some(row) =
            usize::try_from(signal.0).ok().and_then(|index| self.policies.get_mut(index))
        else {
            return;
        };
        row.pass = pass.unwrap_or(row.pass);
        if let Some(print) = print {
            row.print = print;
            row.stop &= print;
        }
        if let Some(stop) = stop {
            row.stop = stop;
            row.print |= stop;
        }
    }

    pub(crate) fn rows(&self) -> Vec<(Signal, SignalPolicy)> {
        (1..=Signal::MAX.0).map(|number| (Signal(number), self.get(Signal(number)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_implies_printing_and_silence_implies_not_stopping() {
        let mut table = SignalTable::default();
        assert!(!table.get(Signal::CHLD).stop);
        table.change(Signal::CHLD, Some(true), None, None);
        assert_eq!(table.get(Signal::CHLD), SignalPolicy { stop: true, print: true, pass: true });
        table.change(Signal::CHLD, None, Some(false), Some(false));
        assert_eq!(
            table.get(Signal::CHLD),
            SignalPolicy { stop: false, print: false, pass: false }
        );
        assert!(!table.get(Signal::INT).pass);
    }
}
