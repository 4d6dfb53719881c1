//! Expressions that are shown at every stop: `display` and its kin.

use trapline_engine::command::ValueFormat;
use trapline_engine::{Command, CommandError, Reply};

use super::action::MemoryFormat;
use super::console::{Console, Session};

/// How a display shows what it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// As `print` does.
    Value(ValueFormat),
    /// As `x` does.
    Memory(MemoryFormat),
}

/// An expression and how it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Display {
    /// What follows the command's name: the format and the expression.
    pub(crate) text: String,
    pub(crate) expression: String,
    pub(crate) manner: Manner,
}

/// What is shown at every stop, by number.
#[derive(Default)]
pub(crate) struct Displays {
    all: Vec<(u32, Display)>,
    given: u32,
}

impl Displays {
    fn add(&mut self, display: Display) {
        self.given += 1;
        self.all.push((self.given, display));
    }

    /// Drops those of some numbers, or all; the first number that there is not.
    fn drop(&mut self, numbers: &[u32]) -> Option<u32> {
        let unknown = |number: &&u32| self.all.iter().all(|(known, _)| known != *number);
        let first = numbers.iter().find(unknown).copied();
        self.all.retain(|(known, _)| !numbers.is_empty() && !numbers.contains(known));
        first
    }

    fn table(&self) -> String {
        if self.all.is_empty() {
            return "There are no auto-display expressions now.".to_owned();
        }
        let rows = self.all.iter().map(|(number, display)| format!("{number}:  {}", display.text));
        let head = "Auto-display expressions now in effect:\nNum Expression".to_owned();
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

impl<S: Session> Console<S> {
    /// Shows an expression now, if it can be, and at every stop from now on.
    pub(super) fn display(&mut self, display: Display) -> Result<(), CommandError> {
        let number = self.displays.given + 1;
        if self.known.stop.is_some() {
            self.show_display(number, &display)?;
        }
        self.displays.add(display);
        Ok(())
    }

    /// Shows what is to be shown at a stop. What has no value there, as a
    /// variable of another function, is not.
    pub(super) fn show_displays(&mut self) {
        for (number, display) in self.displays.all.clone() {
            let _not_here = self.show_display(number, &display);
        }
    }

    fn show_display(&mut self, number: u32, display: &Display) -> Result<(), CommandError> {
        let Display { text, expression, manner } = display;
        match *manner {
            Manner::Value(format) => {
                let command = Command::Evaluate { expression: expression.clone(), format };
                if let Reply::Text(value) = self.session.request(command)? {
                    self.screen.line(format!("{number}: {text} = {value}"));
                }
                Ok(())
            }
            Manner::Memory(format) => {
                self.screen.line(format!("{number}: x{text}"));
                let cursor = std::mem::take(&mut self.cursor);
                let shown = self.examine(format, Some(expression.clone()));
                self.cursor = cursor;
                shown
            }
        }
    }

    pub(super) fn undisplay(&mut self, numbers: &[u32]) -> Result<(), CommandError> {
        match self.displays.drop(numbers) {
            Some(unknown) => Err(CommandError::new(format!("there is no display {unknown}"))),
            None => Ok(()),
        }
    }

    pub(super) fn list_displays(&mut self) {
        let table = self.displays.table();
        self.screen.line(table);
    }
}
