import TCPEngine

// The fourth of four audited files: every pointer here comes from an index that was checked against what is stored.

/// Dense storage of noncopyable values, in chunks that never move. A freed chunk goes back when it is empty.
@safe struct Slab<Element: ~Copyable>: ~Copyable {
    /// Elements in a chunk.
    static var chunkSize: Int { 64 }
    /// Bytes of a chunk.
    static var chunkBytes: Int { MemoryLayout<Element>.stride * chunkSize }
    /// Bytes charged for a chunk's place in the lists, which grow by doubling and go with the last value.
    private static var placeBytes: Int { 32 }
    /// Indices stay below this: 24 bits.
    static var maximumCount: Int { 1 << 24 }

    private var chunks: [UnsafeMutablePointer<Element>?] = unsafe []
    /// One bit an element, set while it holds a value.
    private var occupied: [UInt64] = []
    /// No chunk below this one has a free place.
    private var hint = 0
    /// Values there are.
    private(set) var count = 0
    /// Bytes of the chunks there are, and of the lists that name them.
    private(set) var bytes = 0

    init() {}

    deinit {
        for chunk in 0..<occupied.count {
            guard let base = unsafe chunks[chunk] else { continue }
            for bit in 0..<Self.chunkSize where occupied[chunk] & (1 &<< UInt64(bit)) != 0 {
                unsafe (base + bit).deinitialize(count: 1)
            }
            unsafe base.deallocate()
        }
    }

    /// Whether `index` holds a value.
    func contains(_ index: UInt32) -> Bool {
        let chunk = Int(index) &>> 6
        return chunk < occupied.count && occupied[chunk] & (1 &<< UInt64(index & 63)) != 0
    }

    /// Whether an insertion needs no new chunk.
    private mutating func findFree() -> Int? {
        while hint < occupied.count {
            if occupied[hint] != .max, unsafe chunks[hint] != nil { return hint }
            hint &+= 1
        }
        return nil
    }

    /// Stores a value and says where; `nil` when the budget has no room for another chunk, `keeping` bytes aside. The value
    /// is then dropped.
    mutating func insert(_ element: consuming Element, keeping: Int = 0, _ budget: inout Budget) -> UInt32? {
        let chunk: Int
        if let free = findFree() {
            chunk = free
        } else {
            guard let added = addChunk(keeping: keeping, &budget) else { return nil }
            chunk = added
        }
        let bit = (~occupied[chunk]).trailingZeroBitCount
        occupied[chunk] |= 1 &<< UInt64(bit)
        count &+= 1
        unsafe (chunks[chunk]! + bit).initialize(to: element)
        return UInt32(chunk &<< 6 | bit)
    }

    private mutating func addChunk(keeping: Int, _ budget: inout Budget) -> Int? {
        var chunk = 0
        while chunk < occupied.count, unsafe chunks[chunk] != nil { chunk &+= 1 }
        let wanted = Self.chunkBytes &+ (chunk == occupied.count ? Self.placeBytes : 0)
        guard chunk &<< 6 < Self.maximumCount, budget.reserve(wanted, keeping: keeping) else { return nil }
        bytes &+= wanted
        let base = UnsafeMutablePointer<Element>.allocate(capacity: Self.chunkSize)
        if chunk == occupied.count {
            unsafe chunks.append(base)
            occupied.append(0)
        } else {
            unsafe chunks[chunk] = base
        }
        hint = chunk
        return chunk
    }

    /// Removes the value at `index`, which must hold one.
    mutating func remove(_ index: UInt32, _ budget: inout Budget) {
        precondition(contains(index), "nothing is stored there")
        let chunk = Int(index) &>> 6
        unsafe (chunks[chunk]! + Int(index & 63)).deinitialize(count: 1)
        occupied[chunk] &= ~(1 &<< UInt64(index & 63))
        count &-= 1
        hint = min(hint, chunk)
        if count == 0 {
            for chunk in 0..<occupied.count where unsafe chunks[chunk] != nil { free(chunk, &budget) }
            budget.release(Self.placeBytes &* occupied.count)
            bytes &-= Self.placeBytes &* occupied.count
            unsafe chunks = []
            occupied = []
            hint = 0
        } else if occupied[chunk] == 0, hasFreeBesides(chunk) {
            free(chunk, &budget)
        }
    }

    private mutating func free(_ chunk: Int, _ budget: inout Budget) {
        unsafe chunks[chunk]!.deallocate()
        unsafe chunks[chunk] = nil
        bytes &-= Self.chunkBytes
        budget.release(Self.chunkBytes)
    }

    /// Another chunk with room keeps one connection that comes and goes from allocating each time.
    private func hasFreeBesides(_ chunk: Int) -> Bool {
        for other in hint..<min(occupied.count, hint &+ 4)
        where other != chunk && occupied[other] != .max {
            if unsafe chunks[other] != nil { return true }
        }
        return false
    }

    /// The value at `index`, in place. Traps when there is none: handles are checked before.
    subscript(_ index: UInt32) -> Element {
        @inline(__always) unsafeAddress {
            precondition(contains(index), "nothing is stored there")
            return unsafe UnsafePointer(chunks[Int(index) &>> 6]! + Int(index & 63))
        }
        @inline(__always) unsafeMutableAddress {
            precondition(contains(index), "nothing is stored there")
            return unsafe chunks[Int(index) &>> 6]! + Int(index & 63)
        }
    }

    /// The first index at or after `start` that holds a value.
    func next(from start: UInt32) -> UInt32? {
        var chunk = Int(start) &>> 6
        var mask: UInt64 = .max &<< UInt64(start & 63)
        while chunk < occupied.count {
            let bits = occupied[chunk] & mask
            if bits != 0 { return UInt32(chunk &<< 6 | bits.trailingZeroBitCount) }
            mask = .max
            chunk &+= 1
        }
        return nil
    }
}
