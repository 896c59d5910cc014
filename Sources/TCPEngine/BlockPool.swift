import TCPWire

// The second of four audited files: memory the core manages by hand. Every pointer here comes from an index that was
// checked against the bounds of its table.

/// Blocks of octets for all queues of a stack, cut from slabs that go back when they stay unused.
@safe package struct BlockPool: ~Copyable {
    /// Octets of a block.
    package static var blockSize: Int { 2048 }
    /// Blocks of a slab.
    static var slabBlocks: Int { 32 }
    static var slabBytes: Int { blockSize * slabBlocks }
    /// No block.
    package static var none: UInt32 { .max }

    private var slabs: [UnsafeMutableRawPointer?] = unsafe []
    /// One bit a block, set while it is free.
    private var free: [UInt32] = []
    /// No slab below this one has a free block.
    private var hint = 0
    /// Blocks in use.
    package private(set) var usedBlocks = 0
    /// Slabs there are.
    private var slabCount = 0
    /// Slabs without a block in use, and the fewest of them since the last trim.
    private var idleSlabs = 0
    private var leastIdleSlabs = 0
    /// Index arrays that queues took and gave back.
    private var spareIndexes: [[UInt32]] = []
    /// Arrays of transmission records likewise.
    private var spareRecords: [[Transmission]] = []
    /// Bytes of the index arrays that queues have, and of all arrays that wait.
    package private(set) var indexBytes = 0
    private var spareBytes = 0

    package init() {}

    /// Frees the slabs. A class, because Embedded Swift runs no deinit of another module's structure that is not public.
    @safe private final class Owner {
        var slabs: [UnsafeMutableRawPointer?] = unsafe []
        deinit { for index in unsafe slabs.indices { unsafe slabs[index]?.deallocate() } }
    }
    private let owner = Owner()

    /// Bytes of blocks in use.
    package var usedBytes: Int { usedBlocks &* Self.blockSize }
    /// Bytes of blocks and index arrays that wait.
    package var idleBytes: Int { slabCount &* Self.slabBytes &- usedBytes &+ spareBytes }
    /// Whether there is memory to give back.
    package var canTrim: Bool { idleSlabs > 0 || usedBlocks == 0 && spareBytes > 0 }

    /// Whether a block can be had, and an index for a queue that has none.
    package func hasRoom(_ budget: Budget) -> Bool {
        let keeping = budget.marks.keptBack
        let index = Self.bytes(ofIndex: Self.minimumIndex)
        guard fits(Self.blockSize &+ index, budget, keeping: keeping) else { return false }
        let hasBlock = slabCount &* Self.slabBlocks > usedBlocks
        return budget.remaining &- keeping >= index &+ (hasBlock ? 0 : Self.slabBytes)
    }

    /// Whether what is in use may grow by `bytes` and `keeping` are left then: what lies idle is not in use.
    private func fits(_ bytes: Int, _ budget: Budget, keeping: Int) -> Bool {
        budget.used &- idleBytes <= budget.limit &- bytes &- keeping
    }

    /// Takes a block; `none` when the budget has no room, or would have less than `keeping` bytes left besides what lies
    /// idle.
    package mutating func allocate(_ budget: inout Budget, keeping: Int = 0) -> UInt32 {
        guard keeping == 0 || fits(Self.blockSize, budget, keeping: keeping) else { return Self.none }
        while hint < free.count, free[hint] == 0 { hint &+= 1 }
        if hint == free.count {
            guard addSlab(&budget) else { return Self.none }
        }
        let slab = hint
        if free[slab] == .max {
            idleSlabs &-= 1
            leastIdleSlabs = min(leastIdleSlabs, idleSlabs)
        }
        let bit = free[slab].trailingZeroBitCount
        free[slab] &= ~(1 &<< UInt32(bit))
        usedBlocks &+= 1
        return UInt32(slab &* Self.slabBlocks &+ bit)
    }

    private mutating func addSlab(_ budget: inout Budget) -> Bool {
        guard budget.reserve(Self.slabBytes, keeping: budget.marks.keptBack) else { return false }
        let base = UnsafeMutableRawPointer.allocate(byteCount: Self.slabBytes, alignment: 64)
        slabCount &+= 1
        idleSlabs &+= 1
        hint = 0
        while hint < free.count, unsafe slabs[hint] != nil { hint &+= 1 }
        if hint == free.count {
            unsafe slabs.append(base)
            unsafe owner.slabs.append(base)
            free.append(.max)
        } else {
            unsafe slabs[hint] = base
            unsafe owner.slabs[hint] = base
            free[hint] = .max
        }
        return true
    }

    /// Gives a block back. Its slab goes back with it, if nothing else uses it and the budget is past its first mark; one
    /// idle slab stays, so that a block that comes and goes costs no allocation.
    package mutating func release(_ block: UInt32, _ budget: inout Budget) {
        let slab = Int(block) / Self.slabBlocks
        let mask: UInt32 = 1 &<< (block % UInt32(Self.slabBlocks))
        precondition(free[slab] & mask == 0, "a block is given back once")
        free[slab] |= mask
        usedBlocks &-= 1
        hint = min(hint, slab)
        guard free[slab] == .max else { return }
        idleSlabs &+= 1
        if idleSlabs > 1, budget.used >= budget.marks.returning { removeSlab(slab, &budget) }
    }

    private mutating func removeSlab(_ slab: Int, _ budget: inout Budget) {
        unsafe slabs[slab]?.deallocate()
        unsafe slabs[slab] = nil
        unsafe owner.slabs[slab] = nil
        free[slab] = 0
        slabCount &-= 1
        idleSlabs &-= 1
        leastIdleSlabs = min(leastIdleSlabs, idleSlabs)
        budget.release(Self.slabBytes)
    }

    /// Gives back the slabs that nothing has used since the last call; all idle ones if `all`.
    package mutating func trim(all: Bool, _ budget: inout Budget) {
        var surplus = all ? idleSlabs : leastIdleSlabs
        if all || usedBlocks == 0 {
            budget.release(spareBytes)
            spareBytes = 0
            spareIndexes = []
            spareRecords = []
        }
        var slab = free.count
        while surplus > 0, slab > 0 {
            slab &-= 1
            guard free[slab] == .max else { continue }
            removeSlab(slab, &budget)
            surplus &-= 1
        }
        leastIdleSlabs = idleSlabs
    }

    /// Copies octets of a block out to `target`.
    package func copy(_ block: UInt32, _ range: Range<Int>, to target: inout MutableRawSpan, at offset: Int) {
        unsafe target.put(span(block, range), at: offset)
    }

    /// One octet of a block.
    func octet(_ block: UInt32, at offset: Int) -> UInt8 { unsafe span(block, offset..<offset &+ 1)[0] }

    /// Copies octets into a block.
    package mutating func store(_ source: RawSpan, in block: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset <= Self.blockSize - source.byteCount, "the copy ends outside its block")
        guard source.byteCount > 0 else { return }
        let base = unsafe address(block) + offset
        unsafe source.withUnsafeBytes { bytes in
            unsafe base.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        }
    }

    @inline(__always)
    private func address(_ block: UInt32) -> UnsafeMutableRawPointer {
        let slab = Int(block) / Self.slabBlocks
        return unsafe slabs[slab]! + Int(block) % Self.slabBlocks &* Self.blockSize
    }

    @inline(__always) @unsafe
    private func span(_ block: UInt32, _ range: Range<Int>) -> UnsafeRawBufferPointer {
        precondition(range.upperBound <= Self.blockSize, "the copy ends outside its block")
        return unsafe UnsafeRawBufferPointer(start: address(block) + range.lowerBound, count: range.count)
    }

    /// Where octets of a block lie. They stay there until the block is given back.
    @unsafe
    func memory(_ block: UInt32, _ range: Range<Int>) -> UnsafeRawBufferPointer { unsafe span(block, range) }

    // MARK: Index arrays

    /// Places of the smallest index.
    static var minimumIndex: Int { 4 }

    /// Bytes charged for an index array: its places, and what an array has besides.
    static func bytes(ofIndex count: Int) -> Int { 32 &+ 4 &* count }

    /// An index array for a queue, with nothing in it; `nil` when the budget has no room.
    package mutating func takeIndex(capacity: Int, _ budget: inout Budget) -> [UInt32]? {
        if let last = spareIndexes.last, last.count >= capacity {
            let bytes = Self.bytes(ofIndex: last.count)
            spareBytes &-= bytes
            indexBytes &+= bytes
            return spareIndexes.removeLast()
        }
        let bytes = Self.bytes(ofIndex: capacity)
        guard budget.reserve(bytes, keeping: budget.marks.keptBack) else { return nil }
        indexBytes &+= bytes
        return [UInt32](repeating: Self.none, count: capacity)
    }

    /// Gives an index array back; a few of a modest size are kept.
    package mutating func returnIndex(_ index: consuming [UInt32], _ budget: inout Budget) {
        let bytes = Self.bytes(ofIndex: index.count)
        indexBytes &-= bytes
        if spareIndexes.count < 16, index.count <= 1024 {
            spareBytes &+= bytes
            spareIndexes.append(index)
        } else {
            budget.release(bytes)
        }
    }

    // MARK: Transmission records

    /// Bytes charged for an array of records: theirs, and what an array has besides.
    static func bytes(ofRecords count: Int) -> Int { 32 &+ 32 &* count }

    /// An array for so many records; `nil` when the budget has no room.
    mutating func takeRecords(capacity: Int, _ budget: inout Budget) -> [Transmission]? {
        if let last = spareRecords.last, last.count >= capacity {
            spareBytes &-= Self.bytes(ofRecords: last.count)
            return spareRecords.removeLast()
        }
        guard budget.reserve(Self.bytes(ofRecords: capacity)) else { return nil }
        return [Transmission](
            repeating: Transmission(sentAt: .zero, end: SequenceNumber(0)), count: capacity)
    }

    /// Whether `takeRecords` would find an array.
    func hasRecords(capacity: Int, _ budget: Budget) -> Bool {
        if let last = spareRecords.last, last.count >= capacity { return true }
        return Self.bytes(ofRecords: capacity) <= budget.remaining
    }

    /// Gives an array back; a few of a modest size are kept.
    mutating func returnRecords(_ records: consuming [Transmission], _ budget: inout Budget) {
        let bytes = Self.bytes(ofRecords: records.count)
        if spareRecords.count < 16, records.count <= 64 {
            spareBytes &+= bytes
            spareRecords.append(records)
        } else {
            budget.release(bytes)
        }
    }
}

extension MutableRawSpan {
    /// Copies from memory whose range was checked.
    @inline(__always)
    fileprivate mutating func put(_ source: UnsafeRawBufferPointer, at offset: Int) {
        guard source.count > 0 else { return }
        precondition(offset >= 0 && offset <= byteCount - source.count, "the copy ends outside its target")
        unsafe withUnsafeMutableBytes { target in
            unsafe (target.baseAddress! + offset).copyMemory(from: source.baseAddress!, byteCount: source.count)
        }
    }
}
