import TCPWire

/// A queue of octets in blocks of the pool. It holds memory only while it holds octets. Octets can also be placed past
/// its end, where a gap will be filled later: out-of-order data lies where it will be read.
package struct ByteQueue: ~Copyable {
    /// A ring of block numbers, `BlockPool.none` where nothing was placed yet.
    private(set) var ring: [UInt32] = []
    private(set) var first: Int32 = 0
    private(set) var blockCount: Int32 = 0
    private(set) var headOffset: Int32 = 0
    private var length: Int32 = 0

    package init() {}

    /// Octets in the queue, from its head without a gap.
    package var count: Int { Int(length) }
    package var isEmpty: Bool { length == 0 }

    /// Blocks of the pool the queue holds, those past its end included; counted anew each time, for audits.
    package var heldBlocks: Int {
        var held = 0
        for index in 0..<Int(blockCount) where ring[(Int(first) &+ index) & (ring.count &- 1)] != BlockPool.none {
            held &+= 1
        }
        return held
    }

    /// Adds octets at the end and says how many there was memory for.
    package mutating func append(_ bytes: RawSpan, _ pool: inout BlockPool, _ budget: inout Budget) -> Int {
        let stored = place(bytes, at: count, &pool, &budget)
        length &+= Int32(stored)
        return stored
    }

    /// Places octets `offset` after the head, past the end too, and says how many there was memory for.
    package mutating func place(
        _ bytes: RawSpan, at offset: Int, _ pool: inout BlockPool, _ budget: inout Budget
    ) -> Int {
        let total = bytes.byteCount
        var done = 0
        var position = Int(headOffset) &+ offset
        while done < total {
            let block = self.block(position / BlockPool.blockSize, &pool, &budget)
            guard block != BlockPool.none else { break }
            let start = position % BlockPool.blockSize
            let count = min(BlockPool.blockSize &- start, total &- done)
            pool.store(bytes.extracting(done..<done &+ count), in: block, at: start)
            done &+= count
            position &+= count
        }
        return done
    }

    /// How many blocks `place` would need for `count` octets, `offset` after the head, besides those the queue holds.
    package func missingBlocks(for count: Int, at offset: Int) -> Int {
        guard count > 0 else { return 0 }
        let position = Int(headOffset) &+ offset
        var missing = 0
        for number in position / BlockPool.blockSize...(position &+ count &- 1) / BlockPool.blockSize
        where number >= Int(blockCount)
            || ring[(Int(first) &+ number) & (ring.count &- 1)] == BlockPool.none
        {
            missing &+= 1
        }
        return missing
    }

    /// The block that holds position `number`, made if it is missing.
    private mutating func block(_ number: Int, _ pool: inout BlockPool, _ budget: inout Budget) -> UInt32 {
        if number >= ring.count { grow(to: number &+ 1, &pool) }
        while blockCount <= number {
            ring[(Int(first) &+ Int(blockCount)) & (ring.count &- 1)] = BlockPool.none
            blockCount &+= 1
        }
        let slot = (Int(first) &+ number) & (ring.count &- 1)
        if ring[slot] == BlockPool.none { ring[slot] = pool.allocate(&budget) }
        return ring[slot]
    }

    private mutating func grow(to needed: Int, _ pool: inout BlockPool) {
        var capacity = 64
        while capacity < needed { capacity *= 2 }
        var larger = pool.takeIndex(capacity: capacity)
        for index in 0..<Int(blockCount) { larger[index] = ring[(Int(first) &+ index) & (ring.count &- 1)] }
        swap(&ring, &larger)
        first = 0
        if !larger.isEmpty { pool.returnIndex(larger) }
    }

    /// Counts `count` octets that were placed at the end as part of the queue.
    package mutating func extend(by count: Int) { length &+= Int32(count) }

    /// Copies `count` octets, `offset` after the head, to `target`. They must be in the queue.
    package func copy(
        from offset: Int, count: Int, to target: inout MutableRawSpan, at targetOffset: Int, _ pool: borrowing BlockPool
    ) {
        precondition(offset >= 0 && count >= 0 && offset &+ count <= Int(length), "these octets are not in the queue")
        var done = 0
        var position = Int(headOffset) &+ offset
        while done < count {
            let start = position % BlockPool.blockSize
            let part = min(BlockPool.blockSize &- start, count &- done)
            let slot = (Int(first) &+ position / BlockPool.blockSize) & (ring.count &- 1)
            pool.copy(ring[slot], start..<start &+ part, to: &target, at: targetOffset &+ done)
            done &+= part
            position &+= part
        }
    }

    /// Copies the first `count` octets, which were placed but are not counted as part of the queue yet.
    package func copyPlaced(
        _ count: Int, to target: inout MutableRawSpan, at targetOffset: Int, _ pool: borrowing BlockPool
    ) {
        var done = 0
        var position = Int(headOffset)
        while done < count, position / BlockPool.blockSize < Int(blockCount) {
            let start = position % BlockPool.blockSize
            let part = min(BlockPool.blockSize &- start, count &- done)
            let slot = (Int(first) &+ position / BlockPool.blockSize) & (ring.count &- 1)
            guard ring[slot] != BlockPool.none else { return }
            pool.copy(ring[slot], start..<start &+ part, to: &target, at: targetOffset &+ done)
            done &+= part
            position &+= part
        }
    }

    /// Gives the places where `count` octets lie, `offset` after the head, in their order: as few as there can be. They are
    /// good until octets are taken from the queue.
    @unsafe
    package func forEachFragment(
        from offset: Int, count: Int, _ pool: borrowing BlockPool, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        precondition(offset >= 0 && count >= 0 && offset &+ count <= Int(length), "these octets are not in the queue")
        var current = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        var done = 0
        var position = Int(headOffset) &+ offset
        while done < count {
            let start = position % BlockPool.blockSize
            let part = min(BlockPool.blockSize &- start, count &- done)
            let slot = (Int(first) &+ position / BlockPool.blockSize) & (ring.count &- 1)
            let next = unsafe pool.memory(ring[slot], start..<start &+ part)
            if let base = current.baseAddress, unsafe base + current.count == next.baseAddress {
                unsafe current = UnsafeRawBufferPointer(start: base, count: current.count &+ part)
            } else {
                if current.count > 0 { unsafe body(current) }
                unsafe current = next
            }
            done &+= part
            position &+= part
        }
        if current.count > 0 { unsafe body(current) }
    }

    /// Takes `count` octets from the head. `keepsRest` says that octets were placed past the end: their blocks stay.
    package mutating func removeFirst(_ count: Int, keepsRest: Bool = false, _ pool: inout BlockPool) {
        precondition(count <= Int(length), "these octets are not in the queue")
        length &-= Int32(count)
        if length == 0, !keepsRest {
            removeAll(&pool)
            return
        }
        headOffset &+= Int32(count)
        while headOffset >= BlockPool.blockSize {
            let slot = Int(first) & (ring.count &- 1)
            if ring[slot] != BlockPool.none { pool.release(ring[slot]) }
            first = Int32((Int(first) &+ 1) & (ring.count &- 1))
            blockCount &-= 1
            headOffset &-= Int32(BlockPool.blockSize)
        }
    }

    /// Drops octets from the end until `count` are left.
    package mutating func truncate(to count: Int, _ pool: inout BlockPool) {
        guard count < Int(length) else { return }
        if count == 0 {
            removeAll(&pool)
            return
        }
        length = Int32(count)
        let needed = (Int(headOffset) &+ count &- 1) / BlockPool.blockSize &+ 1
        while Int(blockCount) > needed {
            blockCount &-= 1
            let slot = (Int(first) &+ Int(blockCount)) & (ring.count &- 1)
            if ring[slot] != BlockPool.none { pool.release(ring[slot]) }
        }
    }

    /// Gives everything back.
    package mutating func removeAll(_ pool: inout BlockPool) {
        for index in 0..<Int(blockCount) {
            let slot = (Int(first) &+ index) & (ring.count &- 1)
            if ring[slot] != BlockPool.none { pool.release(ring[slot]) }
        }
        if !ring.isEmpty {
            var index: [UInt32] = []
            swap(&index, &ring)
            pool.returnIndex(index)
        }
        first = 0
        blockCount = 0
        headOffset = 0
        length = 0
    }
}
