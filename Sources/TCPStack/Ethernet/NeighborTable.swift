import TCPEngine
import TCPWire

/// The neighbors of a link: found by a keyed hash, in three lists by what is known of them, each in the order of use. Those
/// that are asked for have places of their own.
struct NeighborTable: ~Copyable {
    private(set) var slots = Slab<Neighbor>()
    private var buckets: [UInt32] = []
    private var lists: InlineArray<3, ListEnds> = .init(repeating: ListEnds())
    private(set) var counts: InlineArray<3, Int> = .init(repeating: 0)
    /// No timer of a neighbor is due before.
    var deadline = Instant.distantFuture
    private let limit: Int
    private let resolvingLimit: Int
    private let secret: StackSecret

    init(limit: Int, resolvingLimit: Int, secret: StackSecret) {
        self.limit = limit
        self.resolvingLimit = resolvingLimit
        self.secret = secret
    }

    /// Bytes held but for waiting packets.
    var bytes: Int { slots.bytes &+ buckets.count &* 4 }

    /// Neighbors there are.
    var count: Int { slots.count }

    subscript(_ slot: UInt32) -> Neighbor {
        @inline(__always) _read { yield slots[slot] }
        @inline(__always) _modify { yield &slots[slot] }
    }

    // MARK: The index

    /// Two folded multiplications, which an outsider without the key cannot steer.
    private func hash(_ address: IPAddress) -> Int {
        let first = (address.high ^ secret.first).multipliedFullWidth(by: (address.low ^ secret.second) | 1)
        let mixed = first.high ^ first.low ^ secret.second
        let second = mixed.multipliedFullWidth(by: secret.first | 1)
        return Int(truncatingIfNeeded: (second.high ^ second.low) &>> 1)
    }

    /// Where a neighbor is.
    func find(_ address: IPAddress) -> UInt32? {
        guard !buckets.isEmpty else { return nil }
        let mask = buckets.count &- 1
        var index = hash(address) & mask
        while buckets[index] != .max {
            if slots[buckets[index]].address == address { return buckets[index] }
            index = (index &+ 1) & mask
        }
        return nil
    }

    private mutating func addToIndex(_ slot: UInt32) {
        let mask = buckets.count &- 1
        var index = hash(slots[slot].address) & mask
        while buckets[index] != .max { index = (index &+ 1) & mask }
        buckets[index] = slot
    }

    private mutating func removeFromIndex(_ slot: UInt32) {
        let mask = buckets.count &- 1
        var hole = hash(slots[slot].address) & mask
        while buckets[hole] != slot { hole = (hole &+ 1) & mask }
        var index = hole
        // Backward shift: no tombstones, so that misses stay short.
        while true {
            index = (index &+ 1) & mask
            guard buckets[index] != .max else { break }
            let home = hash(slots[buckets[index]].address) & mask
            if (index &- home) & mask >= (index &- hole) & mask {
                buckets[hole] = buckets[index]
                hole = index
            }
        }
        buckets[hole] = .max
    }

    /// Room for the neighbor that comes next: at most half of the buckets are in use.
    private mutating func growIndex(_ stack: inout Stack) -> Bool {
        guard (count &+ 1) &* 2 > buckets.count else { return true }
        let capacity = max(buckets.count &* 2, 64)
        guard stack.reserveForLink(capacity &* 4) else { return false }
        stack.releaseForLink(buckets.count &* 4)
        buckets = [UInt32](repeating: .max, count: capacity)
        var slot = slots.next(from: 0)
        while let index = slot {
            addToIndex(index)
            slot = slots.next(from: index &+ 1)
        }
        return true
    }

    // MARK: Coming and going

    /// Adds a neighbor that is not there yet; `nil` when there is no memory. The caller has made room.
    mutating func insert(_ address: IPAddress, _ kind: Neighbor.Class, _ stack: inout Stack) -> UInt32? {
        guard growIndex(&stack) else { return nil }
        let before = slots.bytes
        var neighbor = Neighbor(address)
        neighbor.kind = kind
        let slot = slots.insert(neighbor, &stack.context.budget)
        stack.linkBytes &+= slots.bytes &- before
        guard let slot else { return nil }
        addToIndex(slot)
        append(slot, to: kind)
        return slot
    }

    /// Removes a neighbor that has no packet waiting.
    mutating func remove(_ slot: UInt32, _ stack: inout Stack) {
        unlink(slot)
        removeFromIndex(slot)
        let before = slots.bytes
        slots.remove(slot, &stack.context.budget)
        stack.linkBytes &+= slots.bytes &- before
        if slots.count == 0 {
            stack.releaseForLink(buckets.count &* 4)
            buckets = []
            deadline = .distantFuture
        }
    }

    /// Who gives way to another neighbor of that kind; `nil` when there is room. A neighbor that is asked for takes no
    /// place of one that answered (RFC 6583 §6).
    func victim(for kind: Neighbor.Class) -> UInt32? {
        if kind == .resolving { return counts[0] < resolvingLimit ? nil : lists[0].head }
        guard counts[1] &+ counts[2] >= limit else { return nil }
        return lists[1].isEmpty ? lists[2].head : lists[1].head
    }

    /// Whether a neighbor that made itself known may have a place: it drives out none that was found to be reachable.
    var hasRoomForUnconfirmed: Bool { counts[1] &+ counts[2] < limit || !lists[1].isEmpty }

    // MARK: Lists

    private mutating func append(_ slot: UInt32, to kind: Neighbor.Class) {
        let list = kind.rawValue
        slots[slot].kind = kind
        slots[slot].links = ListLinks(previous: lists[list].tail, next: .max)
        if lists[list].isEmpty { lists[list].head = slot } else { slots[lists[list].tail].links.next = slot }
        lists[list].tail = slot
        counts[list] &+= 1
    }

    private mutating func unlink(_ slot: UInt32) {
        let list = slots[slot].kind.rawValue
        let links = slots[slot].links
        if links.previous == .max {
            lists[list].head = links.next
        } else {
            slots[links.previous].links.next = links.next
        }
        if links.next == .max {
            lists[list].tail = links.previous
        } else {
            slots[links.next].links.previous = links.previous
        }
        counts[list] &-= 1
    }

    /// Puts a neighbor into another list, or at the end of its own: it was used last.
    @inline(__always)
    mutating func move(_ slot: UInt32, to kind: Neighbor.Class) {
        if slots[slot].kind == kind, lists[kind.rawValue].tail == slot { return }
        unlink(slot)
        append(slot, to: kind)
    }

    /// Sets when a neighbor's next step is due.
    mutating func schedule(_ slot: UInt32, at instant: Instant) {
        slots[slot].deadline = instant
        deadline = min(deadline, instant)
    }

    /// The first neighbor from `start` on whose timer is due at `now`; past the last, the earliest of the others is the
    /// deadline.
    mutating func nextDue(from start: UInt32, at now: Instant) -> UInt32? {
        if start == 0 { deadline = .distantFuture }
        var slot = slots.next(from: start)
        while let index = slot {
            if slots[index].hasTimer {
                if slots[index].deadline <= now { return index }
                deadline = min(deadline, slots[index].deadline)
            }
            slot = slots.next(from: index &+ 1)
        }
        return nil
    }

    // MARK: Audit

    /// The rule that is broken, if one is.
    func audit() -> StaticString? {
        var seen = 0
        for list in 0..<3 {
            var previous = UInt32.max
            var slot = lists[list].head
            var count = 0
            while slot != .max {
                guard slots.contains(slot), slots[slot].kind.rawValue == list, slots[slot].links.previous == previous
                else {
                    return "a list of neighbors is broken"
                }
                if find(slots[slot].address) != slot { return "a neighbor is not found" }
                if (slots[slot].state == .incomplete) != (list == 0) { return "a neighbor is in the wrong list" }
                if list != 0, !slots[slot].waiting.isEmpty { return "packets wait for a neighbor that is known" }
                if list != 0, !slots[slot].hardware.isUnicast { return "a neighbor has an impossible address" }
                if slots[slot].hasTimer, slots[slot].deadline < deadline { return "a neighbor's timer is not known" }
                (previous, slot) = (slot, slots[slot].links.next)
                count &+= 1
            }
            if lists[list].tail != previous || count != counts[list] { return "a list of neighbors is miscounted" }
            seen &+= count
        }
        if seen != slots.count { return "a neighbor is in no list" }
        if counts[0] > resolvingLimit || counts[1] &+ counts[2] > limit { return "there are too many neighbors" }
        return nil
    }
}
