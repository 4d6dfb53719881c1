//! From what is wanted to what is to be done in the debuggee: the planner.
//!
//! [`plan`] is a pure function. It shares sites between owners, packs data
//! ranges into debug registers, keeps what is armed where it is, and says for
//! every owner how it is served or why it is not. Carrying out the edits, and
//! asking an owner's predicate at a hit, are left to the engine.
//!
//! A *site* is the physical thing: a trap byte, a jump or a debug-register slot. Its
//! *owners* are those for whom a hit of the site may be meant; an owner's own
//! predicate (range, access, thread, condition) decides.

mod owners;
mod pack;
mod slots;
#[cfg(test)]
mod tests;

pub use owners::Owners;

use std::fmt;

use crate::addr::{AddrRange, VirtAddr};
use crate::breakpoint::Mechanism;
use crate::ids::{LocationId, Tid};
use crate::x64::debug::{Access, Slot};

/// Who needs a site.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    /// One location of a breakpoint of the user's.
    Location(LocationId),
    /// Something of ours (stepping, a call, the loader), numbered by the
    /// engine.
    Internal(u32),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(LocationId { breakpoint, index: 1 }) => write!(f, "{breakpoint}"),
            Self::Location(location) => write!(f, "{location}"),
            Self::Internal(number) => write!(f, "internal {number}"),
        }
    }
}

/// One thing that is to be noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// For whom.
    pub owner: Owner,
    /// What.
    pub what: WantWhat,
    /// Only on this thread. A debug register is then taken on that thread
    /// alone; a trap byte is in the memory of all, and the owner's predicate
    /// has to look.
    pub thread: Option<Tid>,
}

/// What is to be noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WantWhat {
    /// The instruction at an address being about to execute.
    Execute {
        /// Where.
        addr: VirtAddr,
        /// What the user asked for; `None` leaves the choice to the planner.
        mechanism: Option<Mechanism>,
        /// Whether a trap byte can be written there.
        writable_code: bool,
        /// Whether its passes can be decided in the program.
        in_process: InProcess,
    },
    /// Data being touched.
    Data {
        /// Which bytes; not empty.
        range: AddrRange,
        /// Which touches.
        access: Access,
    },
}

/// Whether what an owner asks at a pass can be decided in the program, so that
/// passes that nobody has to hear of do not stop it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InProcess {
    /// It stops at every pass, or only the debugger can decide.
    #[default]
    No,
    /// A jump can be put there.
    Possible,
    /// There is something to decide, but no jump can be put there.
    Impossible,
}

/// What the target offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanCapabilities {
    /// Debug registers per thread; more than four are not used.
    pub hardware_slots: u8,
    /// Whether trap bytes can be written at all.
    pub traps: bool,
}

/// What the user allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlanSettings {
    /// Whether a debug register may cover bytes that nobody watches when
    /// ranges do not fit otherwise. Costs stops that nobody sees.
    pub over_cover: bool,
}

/// A physical thing in the target, with those it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The thing.
    pub what: SiteWhat,
    /// For whom.
    pub owners: Owners,
}

/// The kinds of sites.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SiteWhat {
    /// A trap byte over the first byte of an instruction.
    Trap {
        /// Where.
        addr: VirtAddr,
    },
    /// A jump to code of ours that decides.
    Jump {
        /// Where the instruction is whose passes are decided.
        addr: VirtAddr,
    },
    /// A debug register.
    Slot {
        /// Which: DR0 to DR3.
        index: u8,
        /// What it matches.
        slot: Slot,
        /// The one thread it is set on; `None` for all.
        thread: Option<Tid>,
    },
}

/// One change in the target. Those of a plan are in an order that can be
/// carried out: what goes away first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Write the program's byte back.
    RemoveTrap {
        /// Where.
        addr: VirtAddr,
    },
    /// Write the program's bytes back.
    RemoveJump {
        /// Where.
        addr: VirtAddr,
    },
    /// Free a debug register.
    ClearSlot {
        /// Which.
        index: u8,
        /// The one thread it was set on; `None` for all.
        thread: Option<Tid>,
    },
    /// Set a debug register, free or not.
    SetSlot {
        /// Which.
        index: u8,
        /// What it is to match.
        slot: Slot,
        /// The one thread to set it on; `None` for all.
        thread: Option<Tid>,
    },
    /// Write a trap byte.
    AddTrap {
        /// Where.
        addr: VirtAddr,
    },
    /// Write a jump.
    AddJump {
        /// Where.
        addr: VirtAddr,
    },
    /// Nothing to do in the target: the site stays and serves others than
    /// before.
    ChangeOwners {
        /// Which site.
        site: SiteWhat,
    },
}

/// Why an owner is served the way it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is what the user asked for.
    Asked,
    /// The mechanism for execution when nothing speaks against it.
    Usual,
    /// What it asks is decided in the program.
    Decides,
    /// It could be decided in the program, but no jump can be put there.
    NoJump,
    /// It could be decided in the program, but another owner of the site cannot.
    Shared,
    /// No trap byte can be written there.
    CodeNotWritable,
    /// The mechanism for data.
    Data,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked",
            Self::Usual => "the code can be written",
            Self::Decides => "decided in the program",
            Self::NoJump => "it cannot be decided in the program",
            Self::Shared => "another breakpoint at this place stops at every pass",
            Self::CodeNotWritable => "the code cannot be written",
            Self::Data => "debug registers watch data",
        })
    }
}

/// How one want is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// The place of the want in what was asked.
    pub want: usize,
    /// Whose it is.
    pub owner: Owner,
    /// By what.
    pub by: ServedBy,
    /// Why by that.
    pub reason: Reason,
}

/// The sites that serve a want, as places in [`Plan::sites`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServedBy {
    /// A trap byte.
    Trap {
        /// Its site.
        site: usize,
    },
    /// A jump.
    Jump {
        /// Its site.
        site: usize,
    },
    /// Debug registers.
    Slots {
        /// Their sites; paired slots are not among them.
        sites: Vec<usize>,
        /// For each slot in `sites` that matches reads and writes: the slot
        /// beside it, if one was free, that matches just the writes to the
        /// same bytes. A hit of the one without the other was a read.
        paired_writes: Vec<PairedWrite>,
    },
}

impl ServedBy {
    /// The kind of its sites.
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Trap { .. } => Mechanism::Trap,
            Self::Jump { .. } => Mechanism::Jump,
            Self::Slots { .. } => Mechanism::Hardware,
        }
    }
}

/// Two slots on the same bytes which together tell reads from writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PairedWrite {
    /// The debug register that matches reads and writes.
    pub both: u8,
    /// The debug register that matches writes.
    pub write: u8,
}

/// A want that is not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The place of the want in what was asked.
    pub want: usize,
    /// Whose it is.
    pub owner: Owner,
    /// A sentence for the user; it names who holds what is missing.
    pub why: String,
}

/// What to do, and what then holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// All sites when the edits are done: traps by address, jumps by address,
    /// then slots.
    pub sites: Vec<Site>,
    /// From the sites there are now to these.
    pub edits: Vec<Edit>,
    /// The wants that are served, in the order they were given.
    pub served: Vec<Served>,
    /// Those that are not, in the same order.
    pub refused: Vec<Refusal>,
}

/// Plans for `wanted`, given the sites there are `now`.
///
/// Traps and jumps are shared by address; a jump serves only if it can serve
/// all who share it. Debug registers go to the wants in the order
/// given: a later one never takes a register from an earlier one, but may make
/// it move or share. A site that is still right stays as it is. Planning again
/// from [`Plan::sites`] yields no edits.
pub fn plan(
    now: &[Site],
    wanted: &[Want],
    capabilities: &PlanCapabilities,
    settings: &PlanSettings,
) -> Plan {
    let mut patches = Patches::default();
    let mut hardware = slots::Admission::new(now, wanted, capabilities, settings);
    let mut refused = Vec::new();
    for (index, want) in wanted.iter().enumerate() {
        let admitted = match choose(want, capabilities) {
            Ok((mechanism @ (Mechanism::Trap | Mechanism::Jump), reason)) => {
                patches.admit(index, want, mechanism, reason);
                Ok(())
            }
            Ok((Mechanism::Hardware, reason)) => hardware.admit(index, reason),
            Err(why) => Err(why),
        };
        if let Err(why) = admitted {
            refused.push(Refusal { want: index, owner: want.owner, why });
        }
    }
    let mut plan = Plan { refused, ..Plan::default() };
    patches.finish(&mut plan);
    hardware.finish(&mut plan);
    plan.served.sort_by_key(|served| served.want);
    plan.edits = edits(now, &plan.sites);
    plan
}

fn choose(want: &Want, capabilities: &PlanCapabilities) -> Result<(Mechanism, Reason), String> {
    let WantWhat::Execute { addr, mechanism, writable_code, in_process } = want.what else {
        return Ok((Mechanism::Hardware, Reason::Data));
    };
    let can_trap = writable_code && capabilities.traps;
    match mechanism {
        Some(Mechanism::Hardware) => Ok((Mechanism::Hardware, Reason::Asked)),
        Some(_) if !can_trap => Err(format!(
            "no trap or jump can be written at {addr}: the code there cannot be changed"
        )),
        Some(Mechanism::Trap) => Ok((Mechanism::Trap, Reason::Asked)),
        Some(Mechanism::Jump) => match in_process {
            InProcess::Impossible => Ok((Mechanism::Trap, Reason::NoJump)),
            InProcess::No | InProcess::Possible => Ok((Mechanism::Jump, Reason::Asked)),
        },
        None if can_trap => Ok(match in_process {
            InProcess::No => (Mechanism::Trap, Reason::Usual),
            InProcess::Possible => (Mechanism::Jump, Reason::Decides),
            InProcess::Impossible => (Mechanism::Trap, Reason::NoJump),
        }),
        None => Ok((Mechanism::Hardware, Reason::CodeNotWritable)),
    }
}

/// The wants served by bytes written over code.
#[derive(Default)]
struct Patches {
    wants: Vec<PatchWant>,
}

struct PatchWant {
    addr: VirtAddr,
    want: usize,
    owner: Owner,
    mechanism: Mechanism,
    reason: Reason,
}

impl PatchWant {
    fn served(&self, mechanism: Mechanism, site: usize) -> Served {
        let (by, reason) = match mechanism {
            Mechanism::Jump => (ServedBy::Jump { site }, self.reason),
            _ if self.mechanism == Mechanism::Jump => (ServedBy::Trap { site }, Reason::Shared),
            _ => (ServedBy::Trap { site }, self.reason),
        };
        Served { want: self.want, owner: self.owner, by, reason }
    }
}

impl Patches {
    fn admit(&mut self, index: usize, want: &Want, mechanism: Mechanism, reason: Reason) {
        if let WantWhat::Execute { addr, .. } = want.what {
            let owner = want.owner;
            self.wants.push(PatchWant { addr, want: index, owner, mechanism, reason });
        }
    }

    fn finish(mut self, plan: &mut Plan) {
        self.wants.sort_by_key(|want| want.addr);
        let shared: Vec<&[PatchWant]> =
            self.wants.chunk_by(|one, next| one.addr == next.addr).collect();
        for mechanism in [Mechanism::Trap, Mechanism::Jump] {
            for sharing in shared.iter().filter(|sharing| mechanism_of(sharing) == mechanism) {
                let site = plan.sites.len();
                let addr = sharing[0].addr;
                let what = match mechanism {
                    Mechanism::Jump => SiteWhat::Jump { addr },
                    _ => SiteWhat::Trap { addr },
                };
                let owners = sharing.iter().map(|want| want.owner).collect();
                plan.sites.push(Site { what, owners });
                plan.served.extend(sharing.iter().map(|want| want.served(mechanism, site)));
            }
        }
    }
}

/// A jump only if it serves all.
fn mechanism_of(sharing: &[PatchWant]) -> Mechanism {
    match sharing.iter().all(|want| want.mechanism == Mechanism::Jump) {
        true => Mechanism::Jump,
        false => Mechanism::Trap,
    }
}

/// Where a site is: what it takes up, whatever it matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Trap(VirtAddr),
    Jump(VirtAddr),
    Slot(Option<Tid>, u8),
}

impl SiteWhat {
    fn place(self) -> Place {
        match self {
            Self::Trap { addr } => Place::Trap(addr),
            Self::Jump { addr } => Place::Jump(addr),
            Self::Slot { index, thread, .. } => Place::Slot(thread, index),
        }
    }
}

/// What leads from the one to the other, found in one walk along both.
fn edits(now: &[Site], then: &[Site]) -> Vec<Edit> {
    let mut before = in_place_order(now).into_iter().peekable();
    let mut gone = Vec::new();
    let mut changed = Vec::new();
    for after in in_place_order(then) {
        let place = after.what.place();
        while let Some(site) = before.next_if(|site| site.what.place() < place) {
            gone.push(removal(site.what));
        }
        let here = before.next_if(|site| site.what.place() == place);
        changed.extend(edit(here, after));
    }
    gone.extend(before.map(|site| removal(site.what)));
    gone.append(&mut changed);
    gone
}

/// Plans yield this order, so there is rarely anything to sort.
fn in_place_order(sites: &[Site]) -> Vec<&Site> {
    let mut ordered: Vec<&Site> = sites.iter().collect();
    ordered.sort_by_key(|site| site.what.place());
    ordered
}

fn removal(what: SiteWhat) -> Edit {
    match what {
        SiteWhat::Trap { addr } => Edit::RemoveTrap { addr },
        SiteWhat::Jump { addr } => Edit::RemoveJump { addr },
        SiteWhat::Slot { index, thread, .. } => Edit::ClearSlot { index, thread },
    }
}

fn edit(before: Option<&Site>, after: &Site) -> Option<Edit> {
    match before {
        Some(same) if same == after => None,
        Some(other) if other.what == after.what => Some(Edit::ChangeOwners { site: after.what }),
        _ => Some(match after.what {
            SiteWhat::Trap { addr } => Edit::AddTrap { addr },
            SiteWhat::Jump { addr } => Edit::AddJump { addr },
            SiteWhat::Slot { index, slot, thread } => Edit::SetSlot { index, slot, thread },
        }),
    }
}
