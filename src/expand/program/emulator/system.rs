//! What a program may ask of the system before it is itself: memory, modules and the addresses of calls.
#![forbid(unsafe_code)]

use super::memory::{Memory, SYSTEM};

/// A call: its name, and the words that it takes off the stack.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) words: u32,
    pub(super) does: Does,
}

/// What a call does.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// Gives this number.
    Gives(u32),
    /// Gives memory of as many bytes as its argument of this number says.
    Allocates(usize),
    /// Gives the address of the call that its second argument names.
    Finds,
    /// Gives the program's own address without a name, else some module.
    Module,
    /// Writes the old protection where its last argument points.
    Protects,
    /// The program ends.
    Ends,
}

const fn call(name: &'static str, words: u32, does: Does) -> Call {
    Call { name, words, does }
}

/// What the stubs of packers call, and what the start of usual programs calls.
static CALLS: &[Call] = &[
    call("GetProcAddress", 2, Does::Finds),
    call("LoadLibraryA", 1, Does::Module),
    call("LoadLibraryExA", 3, Does::Module),
    call("GetModuleHandleA", 1, Does::Module),
    call("VirtualAlloc", 4, Does::Allocates(1)),
    call("GlobalAlloc", 2, Does::Allocates(1)),
    call("LocalAlloc", 2, Does::Allocates(1)),
    call("HeapAlloc", 3, Does::Allocates(2)),
    call("HeapCreate", 3, Does::Gives(0x0055_0000)),
    call("HeapDestroy", 1, Does::Gives(1)),
    call("GetProcessHeap", 0, Does::Gives(0x0055_0000)),
    call("HeapFree", 3, Does::Gives(1)),
    call("VirtualFree", 3, Does::Gives(1)),
    call("GlobalFree", 1, Does::Gives(0)),
    call("LocalFree", 1, Does::Gives(0)),
    call("VirtualProtect", 4, Does::Protects),
    call("FreeLibrary", 1, Does::Gives(1)),
    call("GetVersion", 0, Does::Gives(0x0a28_0105)),
    call("GetTickCount", 0, Does::Gives(1000)),
    call("GetLastError", 0, Does::Gives(0)),
    call("SetLastError", 1, Does::Gives(0)),
    call("IsDebuggerPresent", 0, Does::Gives(0)),
    call("GetCurrentProcess", 0, Does::Gives(u32::MAX)),
    call("GetCurrentProcessId", 0, Does::Gives(1234)),
    call("GetCurrentThreadId", 0, Does::Gives(1235)),
    call("CreateFileA", 7, Does::Gives(u32::MAX)),
    call("CloseHandle", 1, Does::Gives(1)),
    call("FindWindowA", 2, Does::Gives(0)),
    call("SetErrorMode", 1, Does::Gives(0)),
    call("OutputDebugStringA", 1, Does::Gives(0)),
    call("Sleep", 1, Does::Gives(0)),
    call("MessageBoxA", 4, Does::Gives(1)),
    call("ExitProcess", 1, Does::Ends),
    call("TerminateProcess", 2, Does::Ends),
    call("ExitThread", 1, Does::Ends),
];

/// Bytes from one call's address to the next.
const STEP: u32 = 16;

/// Where modules are; programs look for the first bytes of one at most.
pub(super) const MODULE: u32 = SYSTEM;

/// The first call's address.
const FIRST: u32 = SYSTEM + 0x1000;

/// Calls that have an address without being known: they are asked for, but a stub never calls them.
const UNKNOWN: u32 = 2000;

/// Gives calls their addresses.
#[derive(Default)]
pub(super) struct System {
    unknown: u32,
}

impl System {
    /// The address of a call.
    pub(super) fn address(&mut self, name: &[u8]) -> u32 {
        let known = CALLS.iter().position(|call| call.name.as_bytes() == name);
        let number = known
            .and_then(|known| u32::try_from(known).ok())
            .unwrap_or_else(|| {
                self.unknown = (self.unknown + 1).min(UNKNOWN);
                u32::try_from(CALLS.len()).unwrap_or_default() + self.unknown
            });
        FIRST + number * STEP
    }

    /// The call at an address; the inner `None` is one that is not known, the outer no call.
    pub(super) fn call(address: u32) -> Option<Option<&'static Call>> {
        let within = address.checked_sub(FIRST)?;
        let number = within / STEP;
        let last = u32::try_from(CALLS.len()).unwrap_or_default() + UNKNOWN;
        (number <= last).then(|| CALLS.get(number as usize).filter(|_| within % STEP == 0))
    }

    /// What the bytes of calls look like to those that look for changes.
    pub(super) fn show(memory: &mut Memory) {
        let _ = memory.put(MODULE, b"MZ");
        for number in 0..CALLS.len() {
            let at = FIRST + u32::try_from(number).unwrap_or_default() * STEP;
            let _ = memory.put(at, b"\x8b\xff\x55\x8b\xec\x5d\xc3");
        }
    }
}
