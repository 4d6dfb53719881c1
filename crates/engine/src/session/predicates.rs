//! What the owners of a site ask, compiled to code that decides in the program,
//! and the values of the last pass that such code compares with.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use trapline_core::plan::Owner;
use trapline_core::predicate::row;
use trapline_core::target::Protection;
use trapline_core::{AddrRange, LocationId, ModuleId, Pid, VirtAddr};
use trapline_expr::native::{Clause, Environment, InputPlace, cell, predicate};
use trapline_expr::{Input, Program};

use super::Session;
use super::jumps::{Ready, Wanted};
use crate::parallel;
use crate::space::{Asked, Cells, Modules, SpaceId};

/// Bytes of memory for cells that are allocated together.
const CELLS: u64 = 64 * 1024;

impl Session {
    /// The code that decides at each site, with why there is none at others.
    /// That is most of the work of very many breakpoints, and each is for itself.
    pub(super) fn compile_all(
        &mut self,
        id: SpaceId,
        pid: Pid,
        wanted: Vec<Wanted>,
        refused: &mut BTreeMap<VirtAddr, Arc<str>>,
    ) -> BTreeMap<VirtAddr, Ready> {
        let mut prepared = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let at = wanted.at;
            match self.prepare(id, wanted) {
                Ok(one) => prepared.push(one),
                Err(why) => {
                    refused.insert(at, why.into());
                }
            }
        }
        let mut ready = BTreeMap::new();
        let Some(space) = self.spaces.get(&id) else { return ready };
        let Some(process) = self.processes.get(&pid) else { return ready };
        let names_it = |one: &Prepared| one.wanted.asked.iter().any(|it| it.reads(Input::Machine));
        let named = prepared.iter().any(names_it);
        let machine = if named { self.target.machine_name() } else { String::new() };
        let around =
            Surroundings { modules: &space.modules, process: &process.name, machine: &machine };
        let compile = |one: Prepared| (one.wanted.at, one.compiled(&around));
        parallel::in_order(prepared, compile, |(at, done)| {
            match done {
                Ok(one) => {
                    ready.insert(at, one);
                }
                Err(why) => {
                    refused.insert(at, why.into());
                }
            }
            ControlFlow::Continue(())
        });
        ready
    }

    /// Sees to the memory that the code for a site works with.
    fn prepare(&mut self, id: SpaceId, wanted: Wanted) -> Result<Prepared, String> {
        let mut cells = Vec::with_capacity(wanted.asked.len());
        for asked in &wanted.asked {
            cells.push(self.cells_for(id, asked)?);
        }
        let credit = self.credit_word(id, &wanted)?;
        Ok(Prepared { wanted, cells, credit })
    }

    /// The word from which threads pay for quiet hits of a site with one owner.
    fn credit_word(&mut self, id: SpaceId, wanted: &Wanted) -> Result<Option<u32>, String> {
        match wanted.asked.as_slice() {
            [one] if one.counts => {
                let space = self.spaces.get_mut(&id).ok_or("the process is gone")?;
                let word = space.rows.new_word().ok_or("there is no room for more counts")?;
                self.clear_word(id, word);
                Ok(Some(word))
            }
            _ => Ok(None),
        }
    }

    fn cells_for(&mut self, id: SpaceId, asked: &Asked) -> Result<Cells, String> {
        let Owner::Location(location) = asked.owner else { return Ok(Cells::default()) };
        let programs = [&asked.filter, &asked.condition];
        let count =
            |program: &Option<Arc<Program>>| program.as_ref().map_or(0, |it| it.changed_slots);
        let slots = programs.into_iter().map(count).max().unwrap_or(0);
        let last = match asked.changed {
            Some(_) => Some(self.new_cell(id)?),
            None => None,
        };
        let slots = (0..slots).map(|_| self.new_cell(id)).collect::<Result<_, _>>()?;
        Ok(Cells { location: Some(location), last, slots })
    }

    fn new_cell(&mut self, id: SpaceId) -> Result<VirtAddr, String> {
        let gone = "the process is gone";
        let space = self.spaces.get_mut(&id).ok_or(gone)?;
        if let Some(cell) = space.free_cells.pop() {
            return Ok(cell);
        }
        let pid = self.representative(id).ok_or(gone)?;
        let map = self.target.memory_map(pid).unwrap_or_default();
        let space = self.spaces.get(&id).ok_or(gone)?;
        let near = space.modules.iter().next().map_or_else(AddrRange::default, |it| it.range);
        let around = AddrRange::sized(near.start, 1);
        let start = self
            .allocate_near(id, around, CELLS, Protection::Data, &map)
            .map_err(|why| why.to_string())?;
        let space = self.spaces.get_mut(&id).ok_or(gone)?;
        space.rows.add_other_memory(AddrRange::sized(start, CELLS));
        let cells = (0..CELLS / cell::SIZE).map(|index| start.wrapping_add(index * cell::SIZE));
        space.free_cells.extend(cells);
        space.free_cells.pop().ok_or_else(|| "no room for values".to_owned())
    }

    /// Writes what the owners of a site remember to where its code compares with
    /// it.
    pub(super) fn publish_values(&mut self, pid: Pid, at: VirtAddr) {
        let Some(space) = self.space_of(pid) else { return };
        let Some((jump, _)) = space.jump_at(at) else { return };
        if jump.cells.iter().all(|cells| cells.is_empty()) {
            return;
        }
        for cells in jump.cells.clone() {
            let Some(location) = cells.location else { continue };
            for (cell, value) in self.remembered(location, &cells) {
                self.write_cell(pid, cell, value.as_deref());
            }
        }
    }

    fn remembered(
        &mut self,
        location: LocationId,
        cells: &Cells,
    ) -> Vec<(VirtAddr, Option<Box<[u8]>>)> {
        let Some((.., location)) = self.breakpoints.location_mut(location) else {
            return Vec::new();
        };
        let say = &location.say;
        let slots = cells.slots.iter().enumerate();
        let mut values: Vec<_> =
            slots.map(|(slot, &cell)| (cell, say.memory.get(slot).cloned().flatten())).collect();
        values.extend(cells.last.map(|cell| (cell, say.last_value.clone())));
        values
    }

    /// Invalid first and valid last: threads compare with it meanwhile. What
    /// cannot be written stays invalid, so that they ask.
    fn write_cell(&mut self, pid: Pid, cell: VirtAddr, value: Option<&[u8]>) {
        let length = cell.wrapping_add(cell::LENGTH_AT);
        let fits = |value: &&[u8]| value.len() as u64 <= cell::MAX_VALUE;
        let emptied = self.target.write_memory(pid, length, &0u64.to_le_bytes());
        let (Ok(()), Some(value)) = (emptied, value.filter(fits)) else { return };
        let written = self.target.write_memory(pid, cell.wrapping_add(cell::VALUE_AT), value);
        if written.is_ok() {
            let more = (value.len() as u64 + 1).to_le_bytes();
            // Without it the cell stays invalid.
            let _ = self.target.write_memory(pid, length, &more);
        }
    }
}

/// A site and the memory that its code is to work with.
struct Prepared {
    wanted: Wanted,
    cells: Vec<Cells>,
    credit: Option<u32>,
}

impl Prepared {
    fn compiled(self, around: &Surroundings<'_>) -> Result<Ready, String> {
        let Self { wanted, cells, credit } = self;
        let slots: Vec<Vec<u64>> =
            cells.iter().map(|it| it.slots.iter().map(|at| at.get()).collect()).collect();
        let clauses: Vec<Clause<'_>> = wanted
            .asked
            .iter()
            .zip(&cells)
            .zip(&slots)
            .map(|((asked, cells), slots)| Clause {
                filter: asked.filter.as_deref(),
                condition: asked.condition.as_deref(),
                changed: asked.changed.as_deref(),
                credit,
                slots,
                last: cells.last.map_or(0, VirtAddr::get),
            })
            .collect();
        let place = CompilePlace { around, at: wanted.at };
        let predicate = predicate(&clauses, &place).map_err(|why| why.to_string())?;
        Ok(Ready { wanted, predicate: Arc::new(predicate), credit, cells })
    }
}

/// What is the same for all code of a process.
struct Surroundings<'a> {
    modules: &'a Modules,
    process: &'a str,
    machine: &'a str,
}

/// The place that code is compiled for.
struct CompilePlace<'a> {
    around: &'a Surroundings<'a>,
    at: VirtAddr,
}

impl Environment for CompilePlace<'_> {
    fn input(&self, input: Input) -> InputPlace {
        let outside = |why: &str| InputPlace::Unknown(why.to_owned());
        match input {
            Input::Tid => InputPlace::Row(row::TID_AT),
            Input::Pid => InputPlace::Row(row::PID_AT),
            Input::Thread => InputPlace::Row(row::THREAD_AT),
            Input::ProcessName => InputPlace::Text(self.around.process.into()),
            Input::Machine => InputPlace::Text(self.around.machine.into()),
            Input::Hits | Input::Passes => outside("only the debugger knows all threads' counts"),
            Input::ThreadName => outside("only the system knows what a thread is called now"),
            Input::Caller => outside("only the debugger can tell the caller"),
        }
    }

    fn tls(&self, module: ModuleId, offset: u64) -> Result<i64, String> {
        crate::tls::from_thread_pointer(self.around.modules, module, offset)
    }

    fn pc(&self) -> u64 {
        self.at.get()
    }
}
