//! One processor of the 80386 family in flat 32-bit mode: what the stubs of packers use of it (Intel's Software Developer's
//! Manual, volume 2). Numbers with a point are not computed; an instruction with them is passed over.
#![forbid(unsafe_code)]

use super::memory::{Fault, Memory, THREAD};

pub(super) const EAX: usize = 0;
pub(super) const ECX: usize = 1;
const EDX: usize = 2;
const EBX: usize = 3;
pub(super) const ESP: usize = 4;
const EBP: usize = 5;
const ESI: usize = 6;
const EDI: usize = 7;

/// Steps of a repeated instruction that are done at once.
const REPEATS: u32 = 4096;

/// Why an instruction was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trap {
    /// There is no memory.
    Access,
    /// It is not known here, or not to a processor.
    Undefined,
    Breakpoint,
    SingleStep,
    Divide,
}

impl From<Fault> for Trap {
    fn from(_: Fault) -> Self {
        Self::Access
    }
}

type Done<T = ()> = Result<T, Trap>;

#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)] // They are the processor's.
pub(super) struct Flags {
    carry: bool,
    parity: bool,
    adjust: bool,
    zero: bool,
    sign: bool,
    trap: bool,
    down: bool,
    overflow: bool,
}

impl Flags {
    pub(super) fn word(self) -> u32 {
        u32::from(self.carry)
            | 2
            | u32::from(self.parity) << 2
            | u32::from(self.adjust) << 4
            | u32::from(self.zero) << 6
            | u32::from(self.sign) << 7
            | u32::from(self.trap) << 8
            | 1 << 9
            | u32::from(self.down) << 10
            | u32::from(self.overflow) << 11
    }

    pub(super) fn of(word: u32) -> Self {
        let bit = |number: u32| word >> number & 1 != 0;
        Self {
            carry: bit(0),
            parity: bit(2),
            adjust: bit(4),
            zero: bit(6),
            sign: bit(7),
            trap: bit(8),
            down: bit(10),
            overflow: bit(11),
        }
    }
}

/// The registers.
#[derive(Debug, Clone, Default)]
pub(super) struct Cpu {
    pub(super) registers: [u32; 8],
    pub(super) at: u32,
    pub(super) flags: Flags,
    /// Repetitions of repeated instructions so far.
    pub(super) repeats: u64,
    clock: u32,
}

/// What an operand is.
#[derive(Clone, Copy)]
enum Operand {
    Register(usize),
    Memory(u32),
}

/// An instruction as it is read.
struct Code {
    bytes: [u8; 16],
    length: usize,
    position: usize,
    /// Operands of 16 bits.
    small: bool,
    /// Added to addresses: the start of a segment.
    segment: u32,
    repeat: Option<u8>,
}

impl Code {
    fn byte(&mut self) -> Done<u8> {
        let byte = self
            .bytes
            .get(self.position)
            .filter(|_| self.position < self.length);
        self.position += 1;
        byte.copied().ok_or(Trap::Access)
    }

    fn number(&mut self, size: usize) -> Done<u32> {
        let mut value = 0;
        for place in 0..size {
            value |= u32::from(self.byte()?) << (8 * place);
        }
        Ok(value)
    }

    /// A number whose sign goes on.
    fn signed(&mut self, size: usize) -> Done<u32> {
        Ok(extend(self.number(size)?, size))
    }

    fn size(&self) -> usize {
        if self.small { 2 } else { 4 }
    }
}

fn mask(size: usize) -> u32 {
    match size {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    }
}

fn top(size: usize) -> u32 {
    1 << (8 * size - 1)
}

fn extend(value: u32, size: usize) -> u32 {
    let value = value & mask(size);
    if value & top(size) != 0 {
        value | !mask(size)
    } else {
        value
    }
}

impl Cpu {
    pub(super) fn register(&self, number: usize) -> u32 {
        self.registers.get(number & 7).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, number: usize, value: u32) {
        if let Some(register) = self.registers.get_mut(number & 7) {
            *register = value;
        }
    }

    fn get_sized(&self, number: usize, size: usize) -> u32 {
        match size {
            1 if number >= 4 => self.register(number - 4) >> 8 & 0xff,
            size => self.register(number) & mask(size),
        }
    }

    fn set_sized(&mut self, number: usize, size: usize, value: u32) {
        let (number, shift) = if size == 1 && number >= 4 {
            (number - 4, 8)
        } else {
            (number, 0)
        };
        let kept = self.register(number) & !(mask(size) << shift);
        self.set(number, kept | (value & mask(size)) << shift);
    }

    fn load(&self, memory: &Memory, operand: Operand, size: usize) -> Done<u32> {
        match operand {
            Operand::Register(number) => Ok(self.get_sized(number, size)),
            Operand::Memory(address) => Ok(memory.read(address, size)?),
        }
    }

    fn store(&mut self, memory: &mut Memory, operand: Operand, size: usize, value: u32) -> Done {
        match operand {
            Operand::Register(number) => self.set_sized(number, size, value),
            Operand::Memory(address) => memory.write(address, size, value)?,
        }
        Ok(())
    }

    pub(super) fn push(&mut self, memory: &mut Memory, value: u32) -> Done {
        self.push_sized(memory, value, 4)
    }

    fn push_sized(&mut self, memory: &mut Memory, value: u32, size: usize) -> Done {
        let to = self
            .register(ESP)
            .wrapping_sub(if size == 2 { 2 } else { 4 });
        memory.write(to, size, value)?;
        self.set(ESP, to);
        Ok(())
    }

    pub(super) fn pop(&mut self, memory: &Memory) -> Done<u32> {
        self.pop_sized(memory, 4)
    }

    fn pop_sized(&mut self, memory: &Memory, size: usize) -> Done<u32> {
        let from = self.register(ESP);
        let value = memory.read(from, size)?;
        self.set(ESP, from.wrapping_add(if size == 2 { 2 } else { 4 }));
        Ok(value)
    }

    /// The second byte of an instruction, and what it speaks of.
    fn operand(&self, code: &mut Code) -> Done<(usize, Operand)> {
        let byte = code.byte()?;
        let (kind, register, base) = (byte >> 6, usize::from(byte >> 3 & 7), usize::from(byte & 7));
        if kind == 3 {
            return Ok((register, Operand::Register(base)));
        }
        let mut address = 0_u32;
        let mut absolute = kind == 0 && base == EBP;
        if base == ESP {
            let sib = code.byte()?;
            let (index, from) = (usize::from(sib >> 3 & 7), usize::from(sib & 7));
            if index != ESP {
                address = self.register(index) << (sib >> 6);
            }
            absolute = kind == 0 && from == EBP;
            if !absolute {
                address = address.wrapping_add(self.register(from));
            }
        } else if !absolute {
            address = self.register(base);
        }
        let more = match kind {
            1 => code.signed(1)?,
            2 => code.number(4)?,
            _ if absolute => code.number(4)?,
            _ => 0,
        };
        let address = address.wrapping_add(more).wrapping_add(code.segment);
        Ok((register, Operand::Memory(address)))
    }

    fn set_result(&mut self, value: u32, size: usize) {
        let value = value & mask(size);
        self.flags.zero = value == 0;
        self.flags.sign = value & top(size) != 0;
        self.flags.parity = (value & 0xff).count_ones().is_multiple_of(2);
    }

    fn add(&mut self, a: u32, b: u32, carry: bool, size: usize) -> u32 {
        let (a, b) = (a & mask(size), b & mask(size));
        let sum = u64::from(a) + u64::from(b) + u64::from(carry);
        let value = (sum & u64::from(mask(size))) as u32;
        self.flags.carry = sum > u64::from(mask(size));
        self.flags.overflow = (a ^ value) & (b ^ value) & top(size) != 0;
        self.flags.adjust = (a ^ b ^ value) & 0x10 != 0;
        self.set_result(value, size);
        value
    }

    fn subtract(&mut self, a: u32, b: u32, borrow: bool, size: usize) -> u32 {
        let (a, b) = (a & mask(size), b & mask(size));
        let value = a.wrapping_sub(b).wrapping_sub(borrow.into()) & mask(size);
        self.flags.carry = u64::from(a) < u64::from(b) + u64::from(borrow);
        self.flags.overflow = (a ^ b) & (a ^ value) & top(size) != 0;
        self.flags.adjust = (a ^ b ^ value) & 0x10 != 0;
        self.set_result(value, size);
        value
    }

    fn logic(&mut self, value: u32, size: usize) -> u32 {
        self.flags.carry = false;
        self.flags.overflow = false;
        self.flags.adjust = false;
        self.set_result(value, size);
        value & mask(size)
    }

    /// The eight operations that have their number in the instruction; nothing for the comparison.
    fn arithmetic(&mut self, number: u8, a: u32, b: u32, size: usize) -> Option<u32> {
        let carry = self.flags.carry;
        Some(match number & 7 {
            0 => self.add(a, b, false, size),
            1 => self.logic(a | b, size),
            2 => self.add(a, b, carry, size),
            3 => self.subtract(a, b, carry, size),
            4 => self.logic(a & b, size),
            5 => self.subtract(a, b, false, size),
            6 => self.logic(a ^ b, size),
            _ => {
                self.subtract(a, b, false, size);
                return None;
            }
        })
    }

    fn shift(&mut self, number: u8, value: u32, count: u32, size: usize) -> u32 {
        let bits = 8 * u32::try_from(size).unwrap_or(4);
        let count = count & 31;
        let mut value = value & mask(size);
        if count == 0 {
            return value;
        }
        let before = value;
        match number & 7 {
            0 => {
                let by = count % bits;
                value = (value << by | value.checked_shr(bits - by).unwrap_or(0)) & mask(size);
                self.flags.carry = value & 1 != 0;
                self.flags.overflow = (value & top(size) != 0) != self.flags.carry;
                return value;
            }
            1 => {
                let by = count % bits;
                value = (value >> by | value.checked_shl(bits - by).unwrap_or(0)) & mask(size);
                self.flags.carry = value & top(size) != 0;
                self.flags.overflow = (value ^ value << 1) & top(size) != 0;
                return value;
            }
            2 => {
                for _ in 0..count % (bits + 1) {
                    let out = value & top(size) != 0;
                    value = (value << 1 | u32::from(self.flags.carry)) & mask(size);
                    self.flags.carry = out;
                }
                self.flags.overflow = (value & top(size) != 0) != self.flags.carry;
                return value;
            }
            3 => {
                for _ in 0..count % (bits + 1) {
                    let out = value & 1 != 0;
                    value = value >> 1 | if self.flags.carry { top(size) } else { 0 };
                    self.flags.carry = out;
                }
                self.flags.overflow = (value ^ value << 1) & top(size) != 0;
                return value;
            }
            5 => {
                self.flags.carry = value.checked_shr(count - 1).unwrap_or(0) & 1 != 0;
                value = value.checked_shr(count).unwrap_or(0);
                self.flags.overflow = before & top(size) != 0;
            }
            7 => {
                let wide = extend(value, size).cast_signed();
                self.flags.carry = wide >> (count - 1).min(31) & 1 != 0;
                value = (wide >> count).cast_unsigned() & mask(size);
                self.flags.overflow = false;
            }
            _ => {
                let wide = u64::from(value) << count;
                self.flags.carry = wide >> bits & 1 != 0;
                value = (wide & u64::from(mask(size))) as u32;
                self.flags.overflow = (value & top(size) != 0) != self.flags.carry;
            }
        }
        self.set_result(value, size);
        value
    }

    fn holds(&self, condition: u8) -> bool {
        let flags = &self.flags;
        let holds = match condition >> 1 & 7 {
            0 => flags.overflow,
            1 => flags.carry,
            2 => flags.zero,
            3 => flags.carry || flags.zero,
            4 => flags.sign,
            5 => flags.parity,
            6 => flags.sign != flags.overflow,
            _ => flags.zero || flags.sign != flags.overflow,
        };
        holds != (condition & 1 != 0)
    }

    fn jump(&mut self, by: u32) {
        self.at = self.at.wrapping_add(by);
    }

    /// Carries out one instruction. After a trap all registers are as before it, as far as packers mind.
    pub(super) fn step(&mut self, memory: &mut Memory) -> Done {
        let before = (self.registers, self.at);
        let trapped = self.flags.trap;
        self.clock = self.clock.wrapping_add(1);
        let done = self.instruction(memory);
        match done {
            Ok(()) if trapped => {
                self.flags.trap = false;
                Err(Trap::SingleStep)
            }
            Err(trap) if trap != Trap::Breakpoint => {
                (self.registers, self.at) = before;
                done
            }
            _ => done,
        }
    }

    fn instruction(&mut self, memory: &mut Memory) -> Done {
        let seen = memory.some(self.at, 16);
        let mut bytes = [0; 16];
        let length = seen.len();
        for (place, byte) in bytes.iter_mut().zip(seen) {
            *place = *byte;
        }
        let mut code = Code {
            bytes,
            length,
            position: 0,
            small: false,
            segment: 0,
            repeat: None,
        };
        let opcode = loop {
            match code.byte()? {
                0x26 | 0x2e | 0x36 | 0x3e | 0xf0 => {}
                0x64 => code.segment = THREAD,
                0x65 => return Err(Trap::Undefined),
                0x66 => code.small = true,
                0x67 => return Err(Trap::Undefined),
                byte @ (0xf2 | 0xf3) => code.repeat = Some(byte),
                byte => break byte,
            }
        };
        // Where the next one is, is known when this one is read; relative jumps add to it.
        let start = self.at;
        let result = if opcode == 0x0f {
            self.two_bytes(memory, &mut code, start)
        } else {
            self.one_byte(memory, &mut code, start, opcode)
        };
        if result? == Next::Follows {
            let length = u32::try_from(code.position).unwrap_or_default();
            self.at = start.wrapping_add(length);
        }
        Ok(())
    }

    /// The address behind what was read.
    fn behind(start: u32, code: &Code) -> u32 {
        start.wrapping_add(u32::try_from(code.position).unwrap_or_default())
    }

    #[allow(clippy::too_many_lines)] // The table of instructions.
    fn one_byte(
        &mut self,
        memory: &mut Memory,
        code: &mut Code,
        start: u32,
        opcode: u8,
    ) -> Done<Next> {
        let wide = code.size();
        let size = if opcode & 1 == 0 { 1 } else { wide };
        let low = usize::from(opcode & 7);
        match opcode {
            0x06 | 0x0e | 0x16 | 0x1e => self.push(memory, 0x23)?,
            0x07 | 0x17 | 0x1f => drop(self.pop(memory)?),
            0x27 | 0x2f | 0x37 | 0x3f => return Err(Trap::Undefined),
            0x00..=0x3f => match opcode & 7 {
                0 | 1 => {
                    let (register, to) = self.operand(code)?;
                    let a = self.load(memory, to, size)?;
                    let b = self.get_sized(register, size);
                    if let Some(value) = self.arithmetic(opcode >> 3, a, b, size) {
                        self.store(memory, to, size, value)?;
                    }
                }
                2 | 3 => {
                    let (register, from) = self.operand(code)?;
                    let b = self.load(memory, from, size)?;
                    let a = self.get_sized(register, size);
                    if let Some(value) = self.arithmetic(opcode >> 3, a, b, size) {
                        self.set_sized(register, size, value);
                    }
                }
                _ => {
                    let b = code.number(size)?;
                    let a = self.get_sized(EAX, size);
                    if let Some(value) = self.arithmetic(opcode >> 3, a, b, size) {
                        self.set_sized(EAX, size, value);
                    }
                }
            },
            0x40..=0x4f => {
                let carry = self.flags.carry;
                let value = self.get_sized(low, wide);
                let value = if opcode < 0x48 {
                    self.add(value, 1, false, wide)
                } else {
                    self.subtract(value, 1, false, wide)
                };
                self.flags.carry = carry;
                self.set_sized(low, wide, value);
            }
            0x50..=0x57 => self.push_sized(memory, self.register(low), wide)?,
            0x58..=0x5f => {
                let value = self.pop_sized(memory, wide)?;
                self.set_sized(low, wide, value);
            }
            0x60 => {
                let stack = self.register(ESP);
                for number in 0..8 {
                    let value = if number == ESP {
                        stack
                    } else {
                        self.register(number)
                    };
                    self.push_sized(memory, value, wide)?;
                }
            }
            0x61 => {
                for number in (0..8).rev() {
                    let value = self.pop_sized(memory, wide)?;
                    if number != ESP {
                        self.set_sized(number, wide, value);
                    }
                }
            }
            0x68 => {
                let value = code.number(wide)?;
                self.push_sized(memory, value, wide)?;
            }
            0x6a => {
                let value = code.signed(1)?;
                self.push_sized(memory, value, wide)?;
            }
            0x69 | 0x6b => {
                let (register, from) = self.operand(code)?;
                let a = self.load(memory, from, wide)?;
                let b = if opcode == 0x69 {
                    code.number(wide)?
                } else {
                    code.signed(1)?
                };
                let value = self.multiply(a, b, wide);
                self.set_sized(register, wide, value);
            }
            0x70..=0x7f => {
                let by = code.signed(1)?;
                if self.holds(opcode) {
                    self.at = Self::behind(start, code);
                    self.jump(by);
                    return Ok(Next::Jumped);
                }
            }
            0x80..=0x83 => {
                let (number, to) = self.operand(code)?;
                let a = self.load(memory, to, size)?;
                let b = if opcode == 0x81 {
                    code.number(wide)?
                } else {
                    code.signed(1)?
                };
                if let Some(value) = self.arithmetic(number as u8, a, b, size) {
                    self.store(memory, to, size, value)?;
                }
            }
            0x84 | 0x85 => {
                let (register, to) = self.operand(code)?;
                let value = self.load(memory, to, size)? & self.get_sized(register, size);
                self.logic(value, size);
            }
            0x86 | 0x87 => {
                let (register, to) = self.operand(code)?;
                let value = self.load(memory, to, size)?;
                self.store(memory, to, size, self.get_sized(register, size))?;
                self.set_sized(register, size, value);
            }
            0x88 | 0x89 => {
                let (register, to) = self.operand(code)?;
                self.store(memory, to, size, self.get_sized(register, size))?;
            }
            0x8a | 0x8b => {
                let (register, from) = self.operand(code)?;
                let value = self.load(memory, from, size)?;
                self.set_sized(register, size, value);
            }
            0x8c => {
                let (_, to) = self.operand(code)?;
                let size = if matches!(to, Operand::Register(_)) {
                    wide
                } else {
                    2
                };
                self.store(memory, to, size, 0x23)?;
            }
            0x8d => {
                code.segment = 0;
                let (register, from) = self.operand(code)?;
                let Operand::Memory(address) = from else {
                    return Err(Trap::Undefined);
                };
                self.set_sized(register, wide, address);
            }
            0x8e => {
                let (_, from) = self.operand(code)?;
                self.load(memory, from, 2)?;
            }
            0x8f => {
                // The address is reckoned with the stack as it is behind the pop.
                let value = self.pop_sized(memory, wide)?;
                let (_, to) = self.operand(code)?;
                self.store(memory, to, wide, value)?;
            }
            0x90..=0x97 => {
                let value = self.get_sized(low, wide);
                self.set_sized(low, wide, self.get_sized(EAX, wide));
                self.set_sized(EAX, wide, value);
            }
            0x98 => {
                let value = extend(self.register(EAX), wide / 2);
                self.set_sized(EAX, wide, value);
            }
            0x99 => {
                let sign = self.get_sized(EAX, wide) & top(wide) != 0;
                self.set_sized(EDX, wide, if sign { u32::MAX } else { 0 });
            }
            0x9b => {}
            0x9c => self.push_sized(memory, self.flags.word(), wide)?,
            0x9d => {
                let kept = if code.small {
                    self.flags.word() & 0xffff_0000
                } else {
                    0
                };
                self.flags = Flags::of(self.pop_sized(memory, wide)? | kept);
            }
            0x9e => {
                let word = self.flags.word() & !0xff | self.register(EAX) >> 8 & 0xff;
                self.flags = Flags::of(word);
            }
            0x9f => self.set_sized(4, 1, self.flags.word()),
            0xa0 | 0xa1 => {
                let address = code.number(4)?.wrapping_add(code.segment);
                let value = memory.read(address, size)?;
                self.set_sized(EAX, size, value);
            }
            0xa2 | 0xa3 => {
                let address = code.number(4)?.wrapping_add(code.segment);
                memory.write(address, size, self.get_sized(EAX, size))?;
            }
            0xa4..=0xa7 | 0xaa..=0xaf => return self.strings(memory, code, opcode, size),
            0xa8 | 0xa9 => {
                let value = code.number(size)? & self.get_sized(EAX, size);
                self.logic(value, size);
            }
            0xb0..=0xb7 => {
                let value = code.number(1)?;
                self.set_sized(low, 1, value);
            }
            0xb8..=0xbf => {
                let value = code.number(wide)?;
                self.set_sized(low, wide, value);
            }
            0xc0 | 0xc1 | 0xd0..=0xd3 => {
                let (number, to) = self.operand(code)?;
                let count = match opcode {
                    0xc0 | 0xc1 => code.number(1)?,
                    0xd0 | 0xd1 => 1,
                    _ => self.register(ECX),
                };
                let value = self.load(memory, to, size)?;
                let value = self.shift(number as u8, value, count, size);
                self.store(memory, to, size, value)?;
            }
            0xc2 | 0xc3 => {
                let more = if opcode == 0xc2 { code.number(2)? } else { 0 };
                self.at = self.pop(memory)?;
                self.set(ESP, self.register(ESP).wrapping_add(more));
                return Ok(Next::Jumped);
            }
            0xc6 | 0xc7 => {
                let (_, to) = self.operand(code)?;
                let value = code.number(size)?;
                self.store(memory, to, size, value)?;
            }
            0xc8 => {
                let (room, nested) = (code.number(2)?, code.number(1)?);
                if nested != 0 {
                    return Err(Trap::Undefined);
                }
                self.push(memory, self.register(EBP))?;
                self.set(EBP, self.register(ESP));
                self.set(ESP, self.register(ESP).wrapping_sub(room));
            }
            0xc9 => {
                self.set(ESP, self.register(EBP));
                let value = self.pop(memory)?;
                self.set(EBP, value);
            }
            0xcc => {
                self.at = Self::behind(start, code);
                return Err(Trap::Breakpoint);
            }
            0xcd => {
                return Err(match code.byte()? {
                    1 => Trap::SingleStep,
                    3 => Trap::Breakpoint,
                    _ => Trap::Access,
                });
            }
            0xce => {}
            0xd4 => {
                let base = code.number(1)?;
                let value = self.get_sized(EAX, 1);
                let (Some(high), Some(rest)) = (value.checked_div(base), value.checked_rem(base))
                else {
                    return Err(Trap::Divide);
                };
                self.set_sized(EAX, 2, high << 8 | rest);
                self.set_result(rest, 1);
            }
            0xd5 => {
                let base = code.number(1)?;
                let (high, rest) = (self.get_sized(4, 1), self.get_sized(EAX, 1));
                let value = high.wrapping_mul(base).wrapping_add(rest) & 0xff;
                self.set_sized(EAX, 2, value);
                self.set_result(value, 1);
            }
            0xd6 => self.set_sized(EAX, 1, if self.flags.carry { 0xff } else { 0 }),
            0xd7 => {
                let at = self.register(EBX).wrapping_add(self.get_sized(EAX, 1));
                let value = memory.read(at.wrapping_add(code.segment), 1)?;
                self.set_sized(EAX, 1, value);
            }
            0xd8..=0xdf => drop(self.operand(code)?),
            0xe0..=0xe3 => {
                let by = code.signed(1)?;
                let mut count = self.register(ECX);
                if opcode != 0xe3 {
                    count = count.wrapping_sub(1);
                    self.set(ECX, count);
                }
                let jumps = match opcode {
                    0xe0 => count != 0 && !self.flags.zero,
                    0xe1 => count != 0 && self.flags.zero,
                    0xe2 => count != 0,
                    _ => count == 0,
                };
                if jumps {
                    self.at = Self::behind(start, code);
                    self.jump(by);
                    return Ok(Next::Jumped);
                }
            }
            0xe8 | 0xe9 | 0xeb => {
                let by = if opcode == 0xeb {
                    code.signed(1)?
                } else {
                    code.signed(wide)?
                };
                let behind = Self::behind(start, code);
                if opcode == 0xe8 {
                    self.push(memory, behind)?;
                }
                self.at = behind.wrapping_add(by);
                return Ok(Next::Jumped);
            }
            0xf1 => return Err(Trap::SingleStep),
            0xf5 => self.flags.carry = !self.flags.carry,
            0xf6 | 0xf7 => self.third_group(memory, code, size)?,
            0xf8 => self.flags.carry = false,
            0xf9 => self.flags.carry = true,
            0xfa | 0xfb => return Err(Trap::Access),
            0xfc => self.flags.down = false,
            0xfd => self.flags.down = true,
            0xfe | 0xff => return self.fifth_group(memory, code, start, size),
            _ => return Err(Trap::Undefined),
        }
        Ok(Next::Follows)
    }

    fn multiply(&mut self, a: u32, b: u32, size: usize) -> u32 {
        let (a, b) = (extend(a, size).cast_signed(), extend(b, size).cast_signed());
        let wide = i64::from(a) * i64::from(b);
        let value = (wide & i64::from(u32::MAX)) as u32 & mask(size);
        let fits = i64::from(extend(value, size).cast_signed()) == wide;
        self.flags.carry = !fits;
        self.flags.overflow = !fits;
        value
    }

    /// test, not, neg, mul, imul, div, idiv.
    fn third_group(&mut self, memory: &mut Memory, code: &mut Code, size: usize) -> Done {
        let (number, to) = self.operand(code)?;
        let value = self.load(memory, to, size)?;
        let bits = 8 * size;
        let double = if size == 1 {
            u64::from(self.get_sized(EAX, 2))
        } else {
            u64::from(self.get_sized(EDX, size)) << bits | u64::from(self.get_sized(EAX, size))
        };
        let put = |cpu: &mut Self, high: u64, low: u64| {
            let (high, low) = (high as u32, low as u32);
            if size == 1 {
                cpu.set_sized(EAX, 2, (high & 0xff) << 8 | low & 0xff);
            } else {
                cpu.set_sized(EAX, size, low);
                cpu.set_sized(EDX, size, high);
            }
        };
        match number {
            0 | 1 => {
                let other = code.number(size)?;
                self.logic(value & other, size);
            }
            2 => self.store(memory, to, size, !value)?,
            3 => {
                let value = self.subtract(0, value, false, size);
                self.store(memory, to, size, value)?;
            }
            4 => {
                let product = u64::from(self.get_sized(EAX, size)) * u64::from(value);
                let high = product >> bits;
                put(self, high, product);
                self.flags.carry = high != 0;
                self.flags.overflow = high != 0;
            }
            5 => {
                let a = i64::from(extend(self.get_sized(EAX, size), size).cast_signed());
                let product = a * i64::from(extend(value, size).cast_signed());
                put(
                    self,
                    (product >> bits).cast_unsigned(),
                    product.cast_unsigned(),
                );
                let low = extend((product & i64::from(u32::MAX)) as u32, size).cast_signed();
                self.flags.carry = i64::from(low) != product;
                self.flags.overflow = self.flags.carry;
            }
            6 => {
                let divisor = u64::from(value);
                let quotient = double.checked_div(divisor).ok_or(Trap::Divide)?;
                if quotient > u64::from(mask(size)) {
                    return Err(Trap::Divide);
                }
                put(self, double % divisor, quotient);
            }
            _ => {
                let shift = 64 - 2 * bits;
                let dividend = (double << shift).cast_signed() >> shift;
                let divisor = i64::from(extend(value, size).cast_signed());
                let quotient = dividend.checked_div(divisor).ok_or(Trap::Divide)?;
                let rest = dividend.checked_rem(divisor).ok_or(Trap::Divide)?;
                let limit = i64::from(top(size));
                if quotient >= limit || quotient < -limit {
                    return Err(Trap::Divide);
                }
                put(self, rest.cast_unsigned(), quotient.cast_unsigned());
            }
        }
        Ok(())
    }

    /// inc, dec, call, jmp, push.
    fn fifth_group(
        &mut self,
        memory: &mut Memory,
        code: &mut Code,
        start: u32,
        size: usize,
    ) -> Done<Next> {
        let (number, to) = self.operand(code)?;
        if size == 1 && number > 1 {
            return Err(Trap::Undefined);
        }
        let value = self.load(memory, to, size)?;
        match number {
            0 | 1 => {
                let carry = self.flags.carry;
                let value = if number == 0 {
                    self.add(value, 1, false, size)
                } else {
                    self.subtract(value, 1, false, size)
                };
                self.flags.carry = carry;
                self.store(memory, to, size, value)?;
            }
            2 => {
                self.push(memory, Self::behind(start, code))?;
                self.at = value;
                return Ok(Next::Jumped);
            }
            4 => {
                self.at = value;
                return Ok(Next::Jumped);
            }
            6 => self.push_sized(memory, value, size)?,
            _ => return Err(Trap::Undefined),
        }
        Ok(Next::Follows)
    }

    /// movs, cmps, stos, lods, scas, with their repetition.
    fn strings(&mut self, memory: &mut Memory, code: &Code, opcode: u8, size: usize) -> Done<Next> {
        let step = u32::try_from(size).unwrap_or(4);
        let step = if self.flags.down {
            step.wrapping_neg()
        } else {
            step
        };
        let compares = matches!(opcode, 0xa6 | 0xa7 | 0xae | 0xaf);
        for _ in 0..REPEATS {
            if code.repeat.is_some() && self.register(ECX) == 0 {
                return Ok(Next::Follows);
            }
            let (from, to) = (
                self.register(ESI).wrapping_add(code.segment),
                self.register(EDI),
            );
            match opcode {
                0xa4 | 0xa5 => {
                    let value = memory.read(from, size)?;
                    memory.write(to, size, value)?;
                }
                0xa6 | 0xa7 => {
                    let (a, b) = (memory.read(from, size)?, memory.read(to, size)?);
                    self.subtract(a, b, false, size);
                }
                0xaa | 0xab => memory.write(to, size, self.get_sized(EAX, size))?,
                0xac | 0xad => {
                    let value = memory.read(from, size)?;
                    self.set_sized(EAX, size, value);
                }
                _ => {
                    let value = memory.read(to, size)?;
                    self.subtract(self.get_sized(EAX, size), value, false, size);
                }
            }
            if matches!(opcode, 0xa4..=0xa7 | 0xac | 0xad) {
                self.set(ESI, self.register(ESI).wrapping_add(step));
            }
            if !matches!(opcode, 0xac | 0xad) {
                self.set(EDI, to.wrapping_add(step));
            }
            let Some(repeat) = code.repeat else {
                return Ok(Next::Follows);
            };
            self.set(ECX, self.register(ECX).wrapping_sub(1));
            self.repeats += 1;
            if compares && self.flags.zero != (repeat == 0xf3) {
                return Ok(Next::Follows);
            }
        }
        // The rest in the next step: this instruction again.
        Ok(Next::Jumped)
    }

    #[allow(clippy::too_many_lines)] // The table of instructions.
    fn two_bytes(&mut self, memory: &mut Memory, code: &mut Code, start: u32) -> Done<Next> {
        let opcode = code.byte()?;
        let wide = code.size();
        let size = if opcode & 1 == 0 { 1 } else { wide };
        match opcode {
            0x0d | 0x18..=0x1f => drop(self.operand(code)?),
            0x31 => {
                self.set(EAX, self.clock);
                self.set(EDX, 0);
            }
            0x40..=0x4f => {
                let (register, from) = self.operand(code)?;
                let value = self.load(memory, from, wide)?;
                if self.holds(opcode) {
                    self.set_sized(register, wide, value);
                }
            }
            0x80..=0x8f => {
                let by = code.signed(wide)?;
                if self.holds(opcode) {
                    self.at = Self::behind(start, code);
                    self.jump(by);
                    return Ok(Next::Jumped);
                }
            }
            0x90..=0x9f => {
                let (_, to) = self.operand(code)?;
                let value = u32::from(self.holds(opcode));
                self.store(memory, to, 1, value)?;
            }
            0xa0 | 0xa8 => self.push(memory, 0x3b)?,
            0xa1 | 0xa9 => drop(self.pop(memory)?),
            0xa2 => {
                for (register, value) in [
                    (EAX, 1),
                    (EBX, 0x756e_6547),
                    (ECX, 0x6c65_746e),
                    (EDX, 0x4965_6e69),
                ] {
                    self.set(register, value);
                }
            }
            0xa3 | 0xab | 0xb3 | 0xbb => {
                let (register, to) = self.operand(code)?;
                let bit = self.get_sized(register, wide);
                self.bit(memory, opcode >> 3 & 3, to, bit, wide)?;
            }
            0xba => {
                let (number, to) = self.operand(code)?;
                let bit = code.number(1)?;
                if number < 4 {
                    return Err(Trap::Undefined);
                }
                self.bit(memory, number as u8 & 3, to, bit, wide)?;
            }
            0xa4 | 0xa5 | 0xac | 0xad => {
                let (register, to) = self.operand(code)?;
                let count = if opcode & 1 == 0 {
                    code.number(1)?
                } else {
                    self.register(ECX)
                } & 31;
                let bits = 8 * u32::try_from(wide).unwrap_or(4);
                if count > 0 && count < bits {
                    let (a, b) = (self.load(memory, to, wide)?, self.get_sized(register, wide));
                    let value = if opcode < 0xa8 {
                        self.flags.carry = a >> (bits - count) & 1 != 0;
                        a << count | b >> (bits - count)
                    } else {
                        self.flags.carry = a >> (count - 1) & 1 != 0;
                        a >> count | b << (bits - count)
                    };
                    self.set_result(value, wide);
                    self.store(memory, to, wide, value & mask(wide))?;
                }
            }
            0xaf => {
                let (register, from) = self.operand(code)?;
                let value = self.load(memory, from, wide)?;
                let value = self.multiply(self.get_sized(register, wide), value, wide);
                self.set_sized(register, wide, value);
            }
            0xb0 | 0xb1 => {
                let (register, to) = self.operand(code)?;
                let value = self.load(memory, to, size)?;
                self.subtract(self.get_sized(EAX, size), value, false, size);
                if self.flags.zero {
                    self.store(memory, to, size, self.get_sized(register, size))?;
                } else {
                    self.set_sized(EAX, size, value);
                }
            }
            0xb6 | 0xb7 | 0xbe | 0xbf => {
                let size = if opcode & 1 == 0 { 1 } else { 2 };
                let (register, from) = self.operand(code)?;
                let value = self.load(memory, from, size)?;
                let value = if opcode > 0xb8 {
                    extend(value, size)
                } else {
                    value
                };
                self.set_sized(register, wide, value);
            }
            0xbc | 0xbd => {
                let (register, from) = self.operand(code)?;
                let value = self.load(memory, from, wide)?;
                self.flags.zero = value == 0;
                if value != 0 {
                    let bit = if opcode == 0xbc {
                        value.trailing_zeros()
                    } else {
                        31 - value.leading_zeros()
                    };
                    self.set_sized(register, wide, bit);
                }
            }
            0xc0 | 0xc1 => {
                let (register, to) = self.operand(code)?;
                let a = self.load(memory, to, size)?;
                let b = self.get_sized(register, size);
                let value = self.add(a, b, false, size);
                self.set_sized(register, size, a);
                self.store(memory, to, size, value)?;
            }
            0xc8..=0xcf => {
                let register = usize::from(opcode & 7);
                self.set(register, self.register(register).swap_bytes());
            }
            _ => return Err(Trap::Undefined),
        }
        Ok(Next::Follows)
    }

    /// Tests a bit, and perhaps changes it.
    fn bit(&mut self, memory: &mut Memory, how: u8, to: Operand, bit: u32, size: usize) -> Done {
        let bits = 8 * u32::try_from(size).unwrap_or(4);
        let value = self.load(memory, to, size)?;
        let one = 1 << (bit % bits);
        self.flags.carry = value & one != 0;
        let value = match how {
            0 => return Ok(()),
            1 => value | one,
            2 => value & !one,
            _ => value ^ one,
        };
        self.store(memory, to, size, value)
    }
}

/// Whether the next instruction is the one behind.
#[derive(PartialEq, Eq)]
enum Next {
    Follows,
    Jumped,
}
