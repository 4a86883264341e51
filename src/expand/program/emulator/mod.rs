//! Runs the stub of a packed program until the program itself begins, and gives its memory.
//!
//! A stub is small and does one thing: it writes the program into memory and jumps there. So a jump out of a section
//! into bytes that were written since the start is taken for the end. Nothing of the real system is reached: memory is a
//! vector, calls are numbers, and steps are counted.
#![forbid(unsafe_code)]

mod cpu;
mod memory;
mod system;

use std::io;
use std::ops::Range;

use self::cpu::{Cpu, EAX, ESP, Flags, Trap};
use self::memory::{Memory, SYSTEM, THREAD};
use self::system::{Does, MODULE, System};
use super::pe::{IMPORTS, Image};
use crate::bytes::Reader;
use crate::object::Object;

/// Instructions that are carried out, with each repetition of those that repeat themselves.
const STEPS: u64 = 100_000_000;

/// And behind the place that may be the program's.
const AFTER: u64 = 5_000_000;

/// Between two looks at the clock.
const LOOK: u64 = 1 << 16;

/// Times that the program's own handler is called.
const EXCEPTIONS: u32 = 4096;

/// Libraries, and calls of each, that are linked.
const LIBRARIES: usize = 64;
const LINKS: usize = 4096;

/// Where the handler of an exception returns to.
const HANDLED: u32 = SYSTEM + 0x800;

/// Registers in the context that a handler sees, in our order.
const PLACES: [u32; 8] = [0xb0, 0xac, 0xa8, 0xa4, 0xc4, 0xb4, 0xa0, 0x9c];
const CONTEXT_FLAGS: u32 = 0xc0;
const CONTEXT_AT: u32 = 0xb8;
const CONTEXT_LENGTH: u32 = 0x2cc;

/// The memory of a program that was run.
pub(super) struct Ran {
    /// The image, from its first address on.
    pub(super) memory: Vec<u8>,
    /// Where the program itself begins, counted from there; or why it was not reached.
    pub(super) entry: Result<u32, String>,
    /// Bytes of the image were written.
    pub(super) wrote: bool,
}

/// Runs a program that needs at most `limit` bytes of memory; nothing if it needs more.
pub(super) fn run(object: &Object, image: &Image, limit: u64) -> io::Result<Option<Ran>> {
    let ends = image.sections.iter().map(|section| section.addresses().end);
    let size = ends.fold(u64::from(image.size), u64::max);
    let base = u32::try_from(image.base).unwrap_or(0);
    let Some(size) = usize::try_from(size)
        .ok()
        .filter(|size| *size as u64 <= limit / 4)
    else {
        return Ok(None);
    };
    let mut bytes = vec![0; size];
    let mut map = |at: u64, raw: Range<u64>| {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let place = bytes.get_mut(at..).unwrap_or_default();
        let length = usize::try_from(raw.end - raw.start)
            .unwrap_or(0)
            .min(place.len());
        let content = object.bytes_at(raw.start, length)?;
        for (place, byte) in place.iter_mut().zip(content) {
            *place = byte;
        }
        io::Result::Ok(())
    };
    map(0, 0..u64::from(image.headers).max(0x400))?;
    for section in &image.sections {
        let most = u64::from(section.size).max(1).next_multiple_of(0x1000);
        let most = if section.size == 0 { u64::MAX } else { most };
        let raw = section.raw.start..section.raw.end.min(section.raw.start.saturating_add(most));
        map(section.address.into(), raw)?;
    }
    let mut system = System::default();
    link(&mut bytes, image, &mut system);
    let stub = image.section_of(image.entry.into());
    let stub = stub.map_or(0..0, super::pe::Section::addresses);
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let stub = place(stub.start)..place(stub.end);
    let heap = usize::try_from(limit / 4).unwrap_or(usize::MAX);
    let mut machine = Machine {
        cpu: Cpu::default(),
        memory: Memory::new(base, bytes, stub, heap),
        system,
        base,
        file: (object.clone(), 0),
        contexts: Vec::new(),
        exceptions: EXCEPTIONS,
    };
    machine.begin(image.entry);
    let entry = machine.run(object, image)?;
    let wrote = (0..size)
        .step_by(16)
        .any(|at| machine.memory.was_written(at));
    Ok(Some(Ran {
        memory: machine.memory.into_image(),
        entry,
        wrote,
    }))
}

/// Puts the addresses of calls where the program has their names.
fn link(bytes: &mut [u8], image: &Image, system: &mut System) {
    let number = |bytes: &[u8], at: u32| Reader::new(bytes.get(at as usize..)?).u32_le();
    let Some((mut at, _)) = image.directory(IMPORTS) else {
        return;
    };
    let mut links = LINKS;
    for _ in 0..LIBRARIES {
        let (Some(names), Some(first)) = (number(bytes, at), number(bytes, at.saturating_add(16)))
        else {
            return;
        };
        if first == 0 {
            return;
        }
        let mut name_at = if names == 0 { first } else { names };
        let mut put_at = first;
        while links > 0 {
            links -= 1;
            let Some(name) = number(bytes, name_at).filter(|name| *name != 0) else {
                break;
            };
            let address = if name >> 31 != 0 {
                system.address(b"")
            } else {
                let text = bytes.get(name as usize + 2..).unwrap_or_default();
                let text = text.get(..text.len().min(128)).unwrap_or_default();
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(0);
                system.address(text.get(..end).unwrap_or_default())
            };
            if let Some(place) = bytes
                .get_mut(put_at as usize..)
                .and_then(|rest| rest.get_mut(..4))
            {
                place.copy_from_slice(&address.to_le_bytes());
            }
            name_at = name_at.saturating_add(4);
            put_at = put_at.saturating_add(4);
        }
        at = at.saturating_add(20);
    }
}

struct Machine {
    cpu: Cpu,
    memory: Memory,
    system: System,
    base: u32,
    /// The program's own file, and where it was read up to.
    file: (Object, u64),
    /// Of the exceptions that are being handled: context, record, and the frame whose handler was called.
    contexts: Vec<[u32; 3]>,
    exceptions: u32,
}

impl Machine {
    /// As the system leaves it for the first instruction.
    fn begin(&mut self, entry: u32) {
        const PROCESS: u32 = THREAD + 0x1000;
        // The lists of modules: the program itself.
        const MODULES: u32 = THREAD + 0x2000;
        const MODULE_ROW: u32 = THREAD + 0x2100;
        System::show(&mut self.memory);
        let stack = self.memory.stack();
        let fields = [
            (THREAD, u32::MAX),
            (THREAD + 4, stack + 0x1000),
            (THREAD + 8, stack - 0x000f_0000),
            (THREAD + 0x18, THREAD),
            (THREAD + 0x30, PROCESS),
            (PROCESS + 8, self.base),
            (PROCESS + 12, MODULES),
            (MODULES + 12, MODULE_ROW),
            (MODULES + 20, MODULE_ROW + 8),
            (MODULES + 28, MODULE_ROW + 16),
            (MODULE_ROW, MODULES + 12),
            (MODULE_ROW + 8, MODULES + 20),
            (MODULE_ROW + 16, MODULES + 28),
            (MODULE_ROW + 24, self.base),
        ];
        for (at, value) in fields {
            // The regions are there.
            let _ = self.memory.write(at, 4, value);
        }
        self.cpu.at = self.base.wrapping_add(entry);
        self.cpu.set(EAX, self.cpu.at);
        self.cpu.set(3, PROCESS);
        self.cpu.set(ESP, stack);
        self.cpu.set(5, stack + 0x40);
        let end = self.system.address(b"ExitThread");
        let _ = self.cpu.push(&mut self.memory, end);
    }

    /// The entry of the program itself, or why it was not reached.
    fn run(&mut self, object: &Object, image: &Image) -> io::Result<Result<u32, String>> {
        let mut left_at = None;
        let entry = self.until(object, image, &mut left_at)?;
        Ok(entry.or_else(|why| left_at.ok_or(why)))
    }

    /// As [`Machine::run`]; and in `left_at` where the stub went first that is none of it.
    fn until(
        &mut self,
        object: &Object,
        image: &Image,
        left_at: &mut Option<u32>,
    ) -> io::Result<Result<u32, String>> {
        let mut here: Option<Range<u64>> = None;
        let mut left = STEPS;
        let mut looked = left;
        while left > 0 {
            left -= 1;
            if looked.saturating_sub(left) >= LOOK {
                looked = left;
                object.read_at(&mut [], 0)?;
            }
            let at = self.cpu.at;
            let within = u64::from(at.wrapping_sub(self.base));
            if !here.as_ref().is_some_and(|here| here.contains(&within)) {
                if let Some(call) = System::call(at) {
                    match self.call(call)? {
                        Ok(()) => continue,
                        Err(why) => return Ok(Err(why)),
                    }
                }
                if at == HANDLED {
                    match self.handled() {
                        Ok(()) => continue,
                        Err(why) => return Ok(Err(why)),
                    }
                }
                let is_first = here.is_none();
                if let Some(offset) = self.memory.offset(at) {
                    let section = image.section_of(within);
                    if !is_first && self.memory.was_written(offset) {
                        return Ok(Ok(at.wrapping_sub(self.base)));
                    }
                    // A stub may leave the part alone in which the program begins; but it may also have parts itself.
                    let leaves = section.is_some() && !self.memory.is_stub(offset);
                    if leaves && left_at.is_none() && self.memory.wrote_beyond() {
                        *left_at = Some(at.wrapping_sub(self.base));
                        left = left.min(AFTER);
                    }
                    here = Some(section.map_or(within..within + 1, super::pe::Section::addresses));
                }
            }
            let repeats = self.cpu.repeats;
            if let Err(trap) = self.cpu.step(&mut self.memory)
                && let Err(why) = self.trapped(trap)
            {
                return Ok(Err(why));
            }
            // One step may be thousands of them.
            left = left.saturating_sub(self.cpu.repeats - repeats);
        }
        Ok(Err(format!("more than {STEPS} instructions")))
    }

    fn argument(&self, number: usize) -> u32 {
        let at = self
            .cpu
            .register(ESP)
            .wrapping_add(4 * (u32::try_from(number).unwrap_or(0) + 1));
        self.memory.read(at, 4).unwrap_or(0)
    }

    /// The address of a call by its name or number; 0 for what is none, for some stubs go on until there is none.
    fn find(&mut self, name: u32) -> u32 {
        const NUMBERS: u32 = 0x1_0000;
        let text = match name {
            0 => return 0,
            1..NUMBERS => Vec::new(),
            _ => self.memory.text(name),
        };
        let is_name = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
        if name >= NUMBERS && !is_name {
            return 0;
        }
        self.system.address(&text)
    }

    /// A call of the system.
    fn call(&mut self, call: Option<&'static system::Call>) -> io::Result<Result<(), String>> {
        let Some(call) = call else {
            let name = self.system.name(self.cpu.at);
            return Ok(Err(format!("it called {}", String::from_utf8_lossy(name))));
        };
        let value = match call.does {
            Does::Gives(value) => value,
            Does::Allocates(argument) => self.memory.allocate(self.argument(argument)),
            Does::Finds => self.find(self.argument(1)),
            Does::Module if self.argument(0) == 0 => self.base,
            Does::Module => MODULE,
            Does::Protects => {
                let _ = self.memory.write(self.argument(3), 4, 4);
                1
            }
            Does::Measures => u32::try_from(self.file.0.length()).unwrap_or(u32::MAX),
            Does::Reads => {
                let count = self.read_file(self.argument(1), self.argument(2))?;
                let _ = self.memory.write(self.argument(3), 4, count);
                1
            }
            Does::Maps => {
                let length = u32::try_from(self.file.0.length()).unwrap_or(u32::MAX);
                let to = self.memory.allocate(length);
                self.file.1 = 0;
                if to != 0 {
                    self.read_file(to, length)?;
                }
                to
            }
            Does::Ends => return Ok(Err(format!("it ended by {}", call.name))),
        };
        let Ok(back) = self.cpu.pop(&self.memory) else {
            return Ok(Err("no stack".to_owned()));
        };
        self.cpu.set(EAX, value);
        let stack = self.cpu.register(ESP).wrapping_add(4 * call.words);
        self.cpu.set(ESP, stack);
        self.cpu.at = back;
        Ok(Ok(()))
    }

    /// Reads from the program's own file into memory; the count.
    fn read_file(&mut self, to: u32, count: u32) -> io::Result<u32> {
        const STEP: usize = 0x1000;
        let mut done = 0;
        while done < count {
            let step = STEP.min((count - done) as usize);
            let bytes = self.file.0.bytes_at(self.file.1, step)?;
            if bytes.is_empty() || self.memory.put(to.wrapping_add(done), &bytes).is_err() {
                break;
            }
            self.file.1 += bytes.len() as u64;
            done += u32::try_from(bytes.len()).unwrap_or_default();
        }
        Ok(done)
    }

    /// Calls the program's own handler.
    fn trapped(&mut self, trap: Trap) -> Result<(), String> {
        let (code, at) = match trap {
            Trap::Access => (0xc000_0005, self.cpu.at),
            Trap::Undefined => (0xc000_001d, self.cpu.at),
            Trap::Breakpoint => (0x8000_0003, self.cpu.at.wrapping_sub(1)),
            Trap::SingleStep => (0x8000_0004, self.cpu.at),
            Trap::Divide => (0xc000_0094, self.cpu.at),
        };
        let frame = self.memory.read(THREAD, 4).unwrap_or(u32::MAX);
        let why = || format!("{trap:?} at {at:#x}").to_lowercase();
        self.exceptions = self.exceptions.checked_sub(1).ok_or_else(why)?;
        let stack = self.cpu.register(ESP);
        let context = stack.wrapping_sub(CONTEXT_LENGTH + 0x100) & !15;
        let record = context.wrapping_sub(0x60);
        let mut put = |at: u32, value: u32| self.memory.write(at, 4, value).map_err(|_| why());
        put(context, 0x0001_0007)?;
        for (place, register) in PLACES.iter().zip(self.cpu.registers) {
            put(context + place, register)?;
        }
        put(context + CONTEXT_AT, at)?;
        put(context + CONTEXT_FLAGS, self.cpu.flags.word())?;
        for (place, value) in [(0, code), (4, 0), (8, 0), (12, at), (16, 0)] {
            put(record + place, value)?;
        }
        self.handler(frame, record, context).map_err(|()| why())
    }

    fn handler(&mut self, frame: u32, record: u32, context: u32) -> Result<(), ()> {
        if frame == u32::MAX || frame == 0 {
            return Err(());
        }
        let handler = self.memory.read(frame.wrapping_add(4), 4).map_err(|_| ())?;
        self.cpu.set(ESP, record);
        for value in [0, context, frame, record, HANDLED] {
            self.cpu.push(&mut self.memory, value).map_err(|_| ())?;
        }
        self.cpu.flags = Flags::default();
        self.cpu.at = handler;
        self.contexts.push([context, record, frame]);
        Ok(())
    }

    /// A handler came back.
    fn handled(&mut self) -> Result<(), String> {
        let why = || "a handler that was not called".to_owned();
        let [context, record, frame] = self.contexts.pop().ok_or_else(why)?;
        if self.cpu.register(EAX) != 0 {
            let next = self.memory.read(frame, 4).unwrap_or(u32::MAX);
            let why = |()| "an exception that nothing handles".to_owned();
            return self.handler(next, record, context).map_err(why);
        }
        let get = |at: u32| {
            self.memory
                .read(context.wrapping_add(at), 4)
                .map_err(|_| why())
        };
        let mut registers = [0; 8];
        for (register, place) in registers.iter_mut().zip(PLACES) {
            *register = get(place)?;
        }
        self.cpu.registers = registers;
        self.cpu.at = get(CONTEXT_AT)?;
        self.cpu.flags = Flags::of(get(CONTEXT_FLAGS)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repetition_of_an_instruction_counts() {
        let mut memory = Memory::new(0x1000, vec![0; 0x2000], 0..0, 0);
        memory.put(0x1000, b"\xf3\xac").unwrap();
        let mut cpu = Cpu::default();
        // The count, and where is read.
        cpu.set(1, 4100);
        cpu.set(6, 0x1100);
        cpu.at = 0x1000;
        for (repeats, at) in [(4096, 0x1000), (4100, 0x1002)] {
            cpu.step(&mut memory).unwrap();
            assert_eq!((cpu.repeats, cpu.at), (repeats, at));
        }
    }
}
