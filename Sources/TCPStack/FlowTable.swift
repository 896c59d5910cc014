import TCPEngine

/// What the flow table and the timing wheel point at: a connection or a small entry, in 25 bits.
struct FlowID: Equatable {
    var rawValue: UInt32

    static func connection(_ slot: UInt32) -> FlowID { FlowID(rawValue: slot) }
    static func entry(_ slot: UInt32) -> FlowID { FlowID(rawValue: slot | 1 &<< 24) }
    var isEntry: Bool { rawValue & 1 &<< 24 != 0 }
    var slot: UInt32 { rawValue & 0xFF_FFFF }
}

/// What a flow table's numbers stand for.
protocol FlowKeys: ~Copyable {
    func key(of id: FlowID) -> FlowKey
}

/// Finds a connection, a small entry or a socket by its key: open addressing with linear probing, four bytes a bucket (seven bits of
/// the hash, what it is, where it is), so that the table adds at most 11 bytes to each.
struct FlowTable: ~Copyable {
    private var buckets: [UInt32]
    private(set) var count = 0
    private static let vacant = UInt32.max
    private static let minimumCapacity = 64

    init(_ budget: inout Budget) {
        buckets = [UInt32](repeating: FlowTable.vacant, count: FlowTable.minimumCapacity)
        _ = budget.reserve(FlowTable.minimumCapacity &* 4)
    }

    var bytes: Int { buckets.count &* 4 }

    private static func tag(_ hash: UInt32) -> UInt32 { (hash &>> 25) % 127 }

    private static func bucket(_ hash: UInt32, _ id: FlowID) -> UInt32 { tag(hash) &<< 25 | id.rawValue }

    /// What stands under `key`.
    func find<Keys: FlowKeys & ~Copyable>(_ key: FlowKey, hash: UInt32, _ tables: borrowing Keys) -> FlowID? {
        let mask = buckets.count &- 1
        var index = Int(hash) & mask
        let tag = FlowTable.tag(hash)
        while true {
            let bucket = buckets[index]
            if bucket == FlowTable.vacant { return nil }
            if bucket &>> 25 == tag {
                let id = FlowID(rawValue: bucket & 0x1FF_FFFF)
                if tables.key(of: id) == key { return id }
            }
            index = (index &+ 1) & mask
        }
    }

    /// Adds `id` under a key that is not there yet; says whether there was memory.
    mutating func insert<Keys: FlowKeys & ~Copyable>(
        _ id: FlowID, hash: UInt32, _ tables: borrowing Keys, _ secret: StackSecret, _ budget: inout Budget
    ) -> Bool {
        if (count &+ 1) &* 4 > buckets.count &* 3 {
            guard resize(to: buckets.count &* 2, tables, secret, &budget) || count &+ 1 < buckets.count else {
                return false
            }
        }
        place(id, hash: hash)
        count &+= 1
        return true
    }

    private mutating func place(_ id: FlowID, hash: UInt32) {
        let mask = buckets.count &- 1
        var index = Int(hash) & mask
        while buckets[index] != FlowTable.vacant { index = (index &+ 1) & mask }
        buckets[index] = FlowTable.bucket(hash, id)
    }

    /// Makes what stands under a key another thing under the same key.
    mutating func replace(_ old: FlowID, with new: FlowID, hash: UInt32) {
        if let index = index(of: old, hash: hash) { buckets[index] = FlowTable.bucket(hash, new) }
    }

    private func index(of id: FlowID, hash: UInt32) -> Int? {
        let mask = buckets.count &- 1
        var index = Int(hash) & mask
        while buckets[index] != FlowTable.vacant {
            if buckets[index] & 0x1FF_FFFF == id.rawValue { return index }
            index = (index &+ 1) & mask
        }
        return nil
    }

    /// Removes `id`; what it named must still be stored.
    mutating func remove<Keys: FlowKeys & ~Copyable>(
        _ id: FlowID, hash: UInt32, _ tables: borrowing Keys, _ secret: StackSecret, _ budget: inout Budget
    ) {
        guard var hole = index(of: id, hash: hash) else { return }
        let mask = buckets.count &- 1
        var index = hole
        // Backward shift: no tombstones, so that misses stay short.
        while true {
            index = (index &+ 1) & mask
            let bucket = buckets[index]
            if bucket == FlowTable.vacant { break }
            let home = Int(tables.key(of: FlowID(rawValue: bucket & 0x1FF_FFFF)).hash(secret)) & mask
            if (index &- home) & mask >= (index &- hole) & mask {
                buckets[hole] = bucket
                hole = index
            }
        }
        buckets[hole] = FlowTable.vacant
        count &-= 1
        if count == 0, buckets.count > FlowTable.minimumCapacity {
            // The old buckets go first: an empty table shrinks though the budget has no room for a second.
            budget.release(buckets.count &* 4)
            buckets = []
            buckets = [UInt32](repeating: FlowTable.vacant, count: FlowTable.minimumCapacity)
            _ = budget.reserve(FlowTable.minimumCapacity &* 4)
        } else if count &* 8 < buckets.count, buckets.count > FlowTable.minimumCapacity {
            _ = resize(to: max(FlowTable.minimumCapacity, buckets.count / 4), tables, secret, &budget)
        }
    }

    private mutating func resize<Keys: FlowKeys & ~Copyable>(
        to capacity: Int, _ tables: borrowing Keys, _ secret: StackSecret, _ budget: inout Budget
    ) -> Bool {
        guard budget.reserve(capacity &* 4) else { return false }
        var old = [UInt32](repeating: FlowTable.vacant, count: capacity)
        swap(&old, &buckets)
        for bucket in old where bucket != FlowTable.vacant {
            let id = FlowID(rawValue: bucket & 0x1FF_FFFF)
            place(id, hash: tables.key(of: id).hash(secret))
        }
        budget.release(old.count &* 4)
        return true
    }
}
