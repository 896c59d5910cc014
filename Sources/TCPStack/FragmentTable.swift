import TCPEngine
import TCPWire

/// Datagrams that came in fragments and are not whole yet (RFC 791 §3.2, RFC 815, RFC 8200 §4.5). What one fragment costs
/// is bounded by the limits, in time and in memory, whatever came before it.
struct FragmentTable: ~Copyable {
    /// What may be held, from the configuration.
    struct Limits {
        /// Datagrams at a time: a search passes all of them.
        var datagrams: Int
        /// Bytes of blocks at a time.
        var bytes: Int
        /// Fragments of one datagram.
        var fragments: Int
        /// Nanoseconds from a datagram's first fragment to its end.
        var timeout: Int64
    }

    private(set) var datagrams = Slab<IncomingDatagram>()
    /// Bytes of the pool's blocks that hold fragments.
    private(set) var blockBytes = 0
    /// Bytes charged for lists of fragments.
    private(set) var listBytes = 0
    /// When the oldest datagram is given up.
    private(set) var deadline = Instant.distantFuture
    private var nextSerial: UInt64 = 0
    private let limits: Limits

    init(_ limits: Limits) { self.limits = limits }

    /// Bytes held but for the blocks.
    var bytes: Int { datagrams.bytes &+ listBytes }

    private var listCost: Int { 32 &+ limits.fragments &* MemoryLayout<FragmentRange>.stride }

    /// Takes a fragment that `checkFragment` found good; the slot of its datagram, if that is whole now.
    mutating func take(
        _ body: RawSpan, _ header: IPHeader, _ fragment: IPFragment, _ local: UInt16, _ context: inout Context,
        _ counts: inout Counters
    ) throws(PacketFault) -> UInt32? {
        let key = FragmentKey(header, fragment, local)
        var slot = find(key)
        if slot == nil { slot = try insert(key, &context, &counts) }
        guard let slot else { return nil }
        if let fault = datagrams[slot].fault { throw fault }
        let isWhole: Bool
        do throws(PacketFault) {
            isWhole = try datagrams[slot].add(header, fragment, length: body.byteCount, limit: limits.fragments)
            try store(body, at: fragment.offset, slot, &context, &counts)
            if isWhole { try datagrams[slot].checkWhole() }
        } catch {
            // A duplicate costs the others nothing.
            if error != .fragmentDuplicate { refuse(slot, error, &context) }
            throw error
        }
        return isWhole ? slot : nil
    }

    /// Forgets a datagram.
    mutating func drop(_ slot: UInt32, _ context: inout Context) { remove(slot, &context) }

    private func find(_ key: FragmentKey) -> UInt32? {
        var slot = datagrams.next(from: 0)
        while let index = slot {
            if datagrams[index].key == key { return index }
            slot = datagrams.next(from: index &+ 1)
        }
        return nil
    }

    /// Begins a datagram; another gives way when there are too many.
    private mutating func insert(
        _ key: FragmentKey, _ context: inout Context, _ counts: inout Counters
    ) throws(PacketFault) -> UInt32 {
        if datagrams.count >= limits.datagrams {
            guard let victim = victim(for: key.source, wanted: 1, limit: limits.datagrams, byBytes: false, keeping: nil)
            else { throw .fragmentEvicted }
            evict(victim, &context, &counts)
        }
        guard context.budget.reserve(listCost) else { throw .noMemory }
        let expiry = context.now.advanced(byNanoseconds: limits.timeout)
        let datagram = IncomingDatagram(key, serial: nextSerial, expiry: expiry, capacity: limits.fragments)
        guard let slot = datagrams.insert(datagram, &context.budget) else {
            context.budget.release(listCost)
            throw .noMemory
        }
        listBytes &+= listCost
        nextSerial &+= 1
        deadline = min(deadline, expiry)
        return slot
    }

    /// Keeps the octets of a fragment; other datagrams give way when there is no room.
    private mutating func store(
        _ body: RawSpan, at offset: Int, _ slot: UInt32, _ context: inout Context, _ counts: inout Counters
    ) throws(PacketFault) {
        let source = datagrams[slot].key.source
        let wanted = datagrams[slot].queue.missingBlocks(for: body.byteCount, at: offset) &* BlockPool.blockSize
        while blockBytes &+ wanted > limits.bytes {
            guard
                let victim = victim(for: source, wanted: wanted, limit: limits.bytes, byBytes: true, keeping: slot)
            else { throw .fragmentEvicted }
            evict(victim, &context, &counts)
        }
        while true {
            let before = datagrams[slot].queue.heldBlocks
            let stored = datagrams[slot].queue.place(body, at: offset, &context.pool, &context.budget)
            let grown = (datagrams[slot].queue.heldBlocks &- before) &* BlockPool.blockSize
            datagrams[slot].blockBytes &+= grown
            blockBytes &+= grown
            if stored == body.byteCount { return }
            guard let victim = victim(for: source, wanted: 0, limit: blockBytes, byBytes: true, keeping: slot) else {
                throw .noMemory
            }
            evict(victim, &context, &counts)
        }
    }

    // MARK: Giving way

    /// Which datagram gives way to one of `source`: the oldest of that source if it has half of `limit` or more, so that it
    /// drives out nobody else; else the oldest of a source that has more than half of all; else the oldest.
    private func victim(
        for source: IPAddress, wanted: Int, limit: Int, byBytes: Bool, keeping kept: UInt32?
    ) -> UInt32? {
        var own = 0
        var all = 0
        // Boyer and Moore's vote: who has more than half of all is left over.
        var candidate = source
        var lead = 0
        var slot = datagrams.next(from: 0)
        while let index = slot {
            let weight = byBytes ? datagrams[index].blockBytes : 1
            let holder = datagrams[index].key.source
            all &+= weight
            if holder == source { own &+= weight }
            if holder == candidate {
                lead &+= weight
            } else {
                lead &-= weight
                if lead < 0 { (candidate, lead) = (holder, -lead) }
            }
            slot = datagrams.next(from: index &+ 1)
        }
        if own > 0, (own &+ wanted) &* 2 > limit { return oldest(of: source, byBytes: byBytes, keeping: kept) }
        if held(by: candidate, byBytes: byBytes) &* 2 > all,
            let greedy = oldest(of: candidate, byBytes: byBytes, keeping: kept)
        {
            return greedy
        }
        return oldest(of: nil, byBytes: byBytes, keeping: kept)
    }

    private func held(by source: IPAddress, byBytes: Bool) -> Int {
        var total = 0
        var slot = datagrams.next(from: 0)
        while let index = slot {
            if datagrams[index].key.source == source { total &+= byBytes ? datagrams[index].blockBytes : 1 }
            slot = datagrams.next(from: index &+ 1)
        }
        return total
    }

    /// The oldest datagram, of one source if it is named, that holds something of what is wanted.
    private func oldest(of source: IPAddress?, byBytes: Bool, keeping kept: UInt32?) -> UInt32? {
        var best: UInt32?
        var slot = datagrams.next(from: 0)
        while let index = slot {
            let isCandidate =
                index != kept && (source == nil || datagrams[index].key.source == source)
                && (!byBytes || datagrams[index].blockBytes > 0)
            if isCandidate, best.map({ datagrams[index].serial < datagrams[$0].serial }) ?? true { best = index }
            slot = datagrams.next(from: index &+ 1)
        }
        return best
    }

    private mutating func evict(_ slot: UInt32, _ context: inout Context, _ counts: inout Counters) {
        // One that was refused has been counted.
        if datagrams[slot].fault == nil { counts.count(.fragmentEvicted) }
        remove(slot, &context)
    }

    /// Drops what a datagram holds and all that will still come of it (RFC 5722 §4); its key stays until its time is over.
    private mutating func refuse(_ slot: UInt32, _ fault: PacketFault, _ context: inout Context) {
        release(slot, &context)
        datagrams[slot].fault = fault
    }

    private mutating func release(_ slot: UInt32, _ context: inout Context) {
        datagrams[slot].queue.removeAll(&context.pool)
        blockBytes &-= datagrams[slot].blockBytes
        datagrams[slot].blockBytes = 0
    }

    private mutating func remove(_ slot: UInt32, _ context: inout Context) {
        release(slot, &context)
        let wasFirst = datagrams[slot].expiry == deadline
        datagrams.remove(slot, &context.budget)
        context.budget.release(listCost)
        listBytes &-= listCost
        if wasFirst { findDeadline() }
    }

    private mutating func findDeadline() {
        deadline = .distantFuture
        var slot = datagrams.next(from: 0)
        while let index = slot {
            deadline = min(deadline, datagrams[index].expiry)
            slot = datagrams.next(from: index &+ 1)
        }
    }

    /// A datagram whose time is over (RFC 1122 §3.3.2: counted from the first fragment, whatever came since).
    func expired(at now: Instant) -> UInt32? {
        guard deadline <= now else { return nil }
        var slot = datagrams.next(from: 0)
        while let index = slot {
            if datagrams[index].expiry <= now { return index }
            slot = datagrams.next(from: index &+ 1)
        }
        return nil
    }
}
