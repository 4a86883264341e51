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
    /// Gives the length of the program's own file: it is the only one that there is.
    Measures,
    /// Reads from it.
    Reads,
    /// Puts it into memory.
    Maps,
    /// The program ends.
    Ends,
}

const fn call(name: &'static str, words: u32, does: Does) -> Call {
    Call { name, words, does }
}

/// What the stubs of packers call, and what the start of usual programs calls; by name, as a list of exports is.
static CALLS: &[Call] = &[
    call("CloseHandle", 1, Does::Gives(1)),
    call("ContinueDebugEvent", 3, Does::Gives(0)),
    call("CreateFileA", 7, Does::Gives(0x78)),
    call("CreateFileMappingA", 6, Does::Gives(0x7c)),
    call("CreateFileW", 7, Does::Gives(u32::MAX)),
    call("CreateMutexA", 3, Does::Gives(0)),
    call("CreateProcessA", 10, Does::Gives(0)),
    call("CreateThread", 6, Does::Gives(0)),
    call("CreateToolhelp32Snapshot", 2, Does::Gives(u32::MAX)),
    call("DebugActiveProcess", 1, Does::Gives(0)),
    call("DeleteFileA", 1, Does::Gives(0)),
    call("ExitProcess", 1, Does::Ends),
    call("ExitThread", 1, Does::Ends),
    call("FindWindowA", 2, Does::Gives(0)),
    call("FreeLibrary", 1, Does::Gives(1)),
    call("GetCurrentProcess", 0, Does::Gives(u32::MAX)),
    call("GetCurrentProcessId", 0, Does::Gives(1234)),
    call("GetCurrentThread", 0, Does::Gives(u32::MAX - 1)),
    call("GetCurrentThreadId", 0, Does::Gives(1235)),
    call("GetFileAttributesA", 1, Does::Gives(u32::MAX)),
    call("GetFileSize", 2, Does::Measures),
    call("GetLastError", 0, Does::Gives(0)),
    call("GetModuleFileNameA", 3, Does::Gives(0)),
    call("GetModuleHandleA", 1, Does::Module),
    call("GetProcAddress", 2, Does::Finds),
    call("GetProcessHeap", 0, Does::Gives(0x0055_0000)),
    call("GetStartupInfoA", 1, Does::Gives(0)),
    call("GetSystemDirectoryA", 2, Does::Gives(0)),
    call("GetTempPathA", 2, Does::Gives(0)),
    call("GetThreadContext", 2, Does::Gives(0)),
    call("GetTickCount", 0, Does::Gives(1000)),
    call("GetVersion", 0, Does::Gives(0x0a28_0105)),
    call("GetVersionExA", 1, Does::Gives(0)),
    call("GetWindowsDirectoryA", 2, Does::Gives(0)),
    call("GlobalAlloc", 2, Does::Allocates(1)),
    call("GlobalFree", 1, Does::Gives(0)),
    call("GlobalLock", 1, Does::Gives(0)),
    call("HeapAlloc", 3, Does::Allocates(2)),
    call("HeapCreate", 3, Does::Gives(0x0055_0000)),
    call("HeapDestroy", 1, Does::Gives(1)),
    call("HeapFree", 3, Does::Gives(1)),
    call("InitializeCriticalSection", 1, Does::Gives(0)),
    call("IsDebuggerPresent", 0, Does::Gives(0)),
    call("LoadLibraryA", 1, Does::Module),
    call("LoadLibraryExA", 3, Does::Module),
    call("LocalAlloc", 2, Does::Allocates(1)),
    call("LocalFree", 1, Does::Gives(0)),
    call("MapViewOfFile", 5, Does::Maps),
    call("MessageBoxA", 4, Does::Gives(1)),
    call("OpenProcess", 3, Does::Gives(0)),
    call("OutputDebugStringA", 1, Does::Gives(0)),
    call("Process32First", 2, Does::Gives(0)),
    call("Process32Next", 2, Does::Gives(0)),
    call("QueryPerformanceCounter", 1, Does::Gives(0)),
    call("ReadFile", 5, Does::Reads),
    call("ReadProcessMemory", 5, Does::Gives(0)),
    call("ResumeThread", 1, Does::Gives(0)),
    call("SetErrorMode", 1, Does::Gives(0)),
    call("SetFilePointer", 4, Does::Gives(0)),
    call("SetLastError", 1, Does::Gives(0)),
    call("SetPriorityClass", 2, Does::Gives(1)),
    call("SetThreadContext", 2, Does::Gives(0)),
    call("SetThreadPriority", 2, Does::Gives(1)),
    call("SetUnhandledExceptionFilter", 1, Does::Gives(0)),
    call("Sleep", 1, Does::Gives(0)),
    call("TerminateProcess", 2, Does::Ends),
    call("UnmapViewOfFile", 1, Does::Gives(0)),
    call("VirtualAlloc", 4, Does::Allocates(1)),
    call("VirtualFree", 3, Does::Gives(1)),
    call("VirtualProtect", 4, Does::Protects),
    call("VirtualQuery", 3, Does::Gives(0)),
    call("WaitForDebugEvent", 2, Does::Gives(0)),
    call("WaitForSingleObject", 2, Does::Gives(0)),
    call("WriteFile", 5, Does::Gives(0)),
    call("WriteProcessMemory", 5, Does::Gives(0)),
    call("lstrcmpA", 2, Does::Gives(1)),
    call("lstrcmpiA", 2, Does::Gives(1)),
    call("lstrlenA", 1, Does::Gives(0)),
];

/// Bytes from one call's address to the next.
const STEP: u32 = 16;

/// Where modules are; programs look for the first bytes of one at most.
pub(super) const MODULE: u32 = SYSTEM;

/// The first call's address.
const FIRST: u32 = SYSTEM + 0x1000;

/// Calls that have an address without being known: they are asked for, but a stub never calls them.
const UNKNOWN: usize = 2000;

/// Gives calls their addresses.
#[derive(Default)]
pub(super) struct System {
    unknown: Vec<Vec<u8>>,
}

impl System {
    /// The address of a call.
    pub(super) fn address(&mut self, name: &[u8]) -> u32 {
        let known = CALLS.iter().position(|call| call.name.as_bytes() == name);
        let number = known.unwrap_or_else(|| {
            if self.unknown.len() < UNKNOWN {
                self.unknown.push(name.to_vec());
            }
            CALLS.len() + self.unknown.len() - 1
        });
        FIRST + u32::try_from(number).unwrap_or_default() * STEP
    }

    /// The name that was asked for at an address.
    pub(super) fn name(&self, address: u32) -> &[u8] {
        let number = (address.wrapping_sub(FIRST) / STEP) as usize;
        let name = number
            .checked_sub(CALLS.len())
            .and_then(|number| self.unknown.get(number));
        name.map_or(b"a call without a name", |name| {
            if name.is_empty() {
                b"a call by its number"
            } else {
                name
            }
        })
    }

    /// The call at an address; the inner `None` is one that is not known, the outer no call.
    pub(super) fn call(address: u32) -> Option<Option<&'static Call>> {
        let within = address.checked_sub(FIRST)?;
        let number = (within / STEP) as usize;
        let is_call = number < CALLS.len() + UNKNOWN;
        is_call.then(|| CALLS.get(number).filter(|_| within.is_multiple_of(STEP)))
    }

    /// What a module looks like to those that read its list of calls themselves (Microsoft PE and COFF Specification), and
    /// calls to those that look for changes in them.
    pub(super) fn show(memory: &mut Memory) {
        const PE: u32 = 0x80;
        const LIST: u32 = 0x2000;
        const ADDRESSES: u32 = LIST + 0x40;
        let count = u32::try_from(CALLS.len()).unwrap_or_default();
        let names = ADDRESSES + 4 * count;
        let numbers = names + 4 * count;
        let mut text = numbers + 2 * count;
        let title = text;
        let fields = [
            (0, 0x5a4d),
            (0x3c, PE),
            (PE, 0x4550),
            (PE + 4, 0x014c),
            (PE + 0x18, 0x010b),
            (PE + 0x34, MODULE),
            (PE + 0x50, 0x1_0000),
            (PE + 0x74, 16),
            (PE + 0x78, LIST),
            (PE + 0x7c, 0x1000),
            (LIST + 12, title),
            (LIST + 16, 1),
            (LIST + 20, count),
            (LIST + 24, count),
            (LIST + 28, ADDRESSES),
            (LIST + 32, names),
            (LIST + 36, numbers),
        ];
        // All of it lies within the region.
        for (at, value) in fields {
            let _ = memory.write(MODULE + at, 4, value);
        }
        let mut put = |bytes: &[u8]| {
            let _ = memory.put(MODULE + text, bytes);
            let at = text;
            text += u32::try_from(bytes.len()).unwrap_or_default() + 1;
            at
        };
        put(b"KERNEL32.dll");
        let texts: Vec<u32> = CALLS.iter().map(|call| put(call.name.as_bytes())).collect();
        for (number, text) in (0..).zip(texts) {
            let address = FIRST - MODULE + number * STEP;
            let _ = memory.write(MODULE + ADDRESSES + 4 * number, 4, address);
            let _ = memory.write(MODULE + names + 4 * number, 4, text);
            let _ = memory.write(MODULE + numbers + 2 * number, 2, number);
            let _ = memory.put(MODULE + address, b"\x8b\xff\x55\x8b\xec\x5d\xc3");
        }
    }
}
