/// The one file that reads and writes memory by offset: loads, stores, the checksum's inner loop and the copy. Each
/// function here checks its range, or is handed one that its caller's loop proves.

extension RawSpan {
    /// The octet at `offset`. Traps past the end, like any subscript: parsers check the length first.
    @inlinable @inline(__always)
    public func u8(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The 16-bit number in network byte order at `offset`.
    @inlinable @inline(__always)
    public func be16(_ offset: Int) -> UInt16 {
        UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// The 32-bit number in network byte order at `offset`.
    @inlinable @inline(__always)
    public func be32(_ offset: Int) -> UInt32 {
        UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The 64-bit number in network byte order at `offset`.
    @inlinable @inline(__always)
    public func be64(_ offset: Int) -> UInt64 {
        UInt64(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The octets as an array; for tests and tools, not for the data path.
    public func bytes() -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(byteCount)
        for index in 0..<byteCount { result.append(u8(index)) }
        return result
    }
}

extension MutableRawSpan {
    /// Writes one octet.
    @inlinable @inline(__always)
    public mutating func put8(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// Writes a 16-bit number in network byte order.
    @inlinable @inline(__always)
    public mutating func put16(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// Writes a 32-bit number in network byte order.
    @inlinable @inline(__always)
    public mutating func put32(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Writes a 64-bit number in network byte order.
    @inlinable @inline(__always)
    public mutating func put64(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    /// Copies all of `source` to `offset`. The range must lie inside this span.
    @inlinable
    public mutating func put(_ source: RawSpan, at offset: Int) {
        let count = source.byteCount
        guard count > 0 else { return }
        precondition(offset >= 0 && offset <= byteCount - count, "the copy ends outside its target")
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { bytes in
                unsafe (target.baseAddress! + offset).copyMemory(from: bytes.baseAddress!, byteCount: count)
            }
        }
    }
}

/// Adds the octets of `bytes` as 32-bit words in memory order. RFC 1071 is neutral to byte order, so the sum is folded
/// and swapped once at the end. Kept out of line: inlined, the loop vectorises worse.
@inline(never)
func sumOfWords(_ bytes: RawSpan) -> UInt64 {
    var sum: UInt64 = 0
    let count = bytes.byteCount
    var index = 0
    while index &+ 4 <= count {
        sum &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt32.self))
        index &+= 4
    }
    if index &+ 2 <= count {
        sum &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt16.self))
        index &+= 2
    }
    if index < count {
        // The last odd octet is the first half of a word whose other half is zero.
        let last = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
        sum &+= UInt64(UInt16(littleEndian: UInt16(last)))
    }
    return sum
}
