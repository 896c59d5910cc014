import Glibc

// The dynamic linker takes the executable's `malloc` before the C library's, for every library of the process. These count
// the calls and pass them on; Package.swift has the linker give them the allocator's names. They are called before anything of Swift has run, so they touch nothing but one number
// that needs no initialiser to run, and they are right for one thread at a time only, as the benchmarks that count are.

nonisolated(unsafe) private var count = 0

/// Calls of the allocator, by anyone in this process, since it started.
func allocationCount() -> Int { count }

@_silgen_name("__libc_malloc") private func libcMalloc(_ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc") private func libcCalloc(_ number: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_realloc")
private func libcRealloc(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_memalign") private func libcMemalign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer?

/// `malloc`, counted.
@c(counted_malloc) public func countedMalloc(_ size: Int) -> UnsafeMutableRawPointer? {
    count &+= 1
    return libcMalloc(size)
}

/// `calloc`, counted.
@c(counted_calloc) public func countedCalloc(_ number: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    count &+= 1
    return libcCalloc(number, size)
}

/// `realloc`, counted.
@c(counted_realloc)
public func countedRealloc(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    count &+= 1
    return libcRealloc(block, size)
}

/// `memalign`, counted.
@c(counted_memalign) public func countedMemalign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    count &+= 1
    return libcMemalign(alignment, size)
}

/// `aligned_alloc`, counted.
@c(counted_aligned_alloc) public func countedAlignedAlloc(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    count &+= 1
    return libcMemalign(alignment, size)
}

/// `posix_memalign`, counted.
@c(counted_posix_memalign)
public func countedPosixMemalign(
    _ block: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> Int32 {
    count &+= 1
    guard let result = libcMemalign(alignment, size) else { return ENOMEM }
    block.pointee = result
    return 0
}

/// Gives what the allocator holds back to the system.
@_silgen_name("malloc_trim") @discardableResult func trimAllocator(_ pad: Int) -> Int32
