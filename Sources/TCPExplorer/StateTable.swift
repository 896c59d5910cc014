internal import TCPEngine

/// The worlds that were seen, by their fingerprints, each with the world it came from and the move that made it: 30 bytes
/// and what open addressing adds.
struct StateTable {
    private var low: [UInt64] = []
    private var high: [UInt64] = []
    private var parents: [UInt32] = []
    private var moves: [UInt16] = []
    private var slots: [UInt32]
    private static let vacant = UInt32.max

    init() { slots = [UInt32](repeating: StateTable.vacant, count: 1 << 12) }

    var count: Int { low.count }

    /// Adds a world; `nil` when it was there already, or its number.
    mutating func insert(_ fingerprint: Fingerprint, parent: Int, move: Move) -> Int? {
        var slot = index(fingerprint)
        if slots[slot] != StateTable.vacant { return nil }
        if (count + 1) * 4 > slots.count * 3 {
            grow()
            slot = index(fingerprint)
        }
        let number = count
        slots[slot] = UInt32(number)
        low.append(fingerprint.low)
        high.append(fingerprint.high)
        parents.append(UInt32(truncatingIfNeeded: parent))
        moves.append(move.code)
        return number
    }

    /// The number of a world that is there.
    func find(_ fingerprint: Fingerprint) -> Int? {
        let slot = slots[index(fingerprint)]
        return slot == StateTable.vacant ? nil : Int(slot)
    }

    private func index(_ fingerprint: Fingerprint) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: fingerprint.low) & mask
        while slots[index] != StateTable.vacant {
            let number = Int(slots[index])
            if low[number] == fingerprint.low, high[number] == fingerprint.high { break }
            index = (index + 1) & mask
        }
        return index
    }

    private mutating func grow() {
        slots = [UInt32](repeating: StateTable.vacant, count: slots.count * 2)
        let mask = slots.count - 1
        for number in 0..<count {
            var index = Int(truncatingIfNeeded: low[number]) & mask
            while slots[index] != StateTable.vacant { index = (index + 1) & mask }
            slots[index] = UInt32(number)
        }
    }

    /// The moves from the first world to that one.
    func path(to number: Int) -> [Move] {
        var result: [Move] = []
        var number = number
        while number != 0 {
            result.append(Move(code: moves[number]))
            number = Int(parents[number])
        }
        return result.reversed()
    }
}

/// A set of fingerprints in 64 bits each.
struct FingerprintSet {
    private var slots: [UInt64]
    private(set) var count = 0

    init() { slots = [UInt64](repeating: 0, count: 1 << 12) }

    private static func word(_ fingerprint: Fingerprint) -> UInt64 {
        max(1, fingerprint.low ^ (fingerprint.high &<< 23 | fingerprint.high &>> 41))
    }

    private func index(_ word: UInt64) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: word &>> 17) & mask
        while slots[index] != 0, slots[index] != word { index = (index + 1) & mask }
        return index
    }

    func contains(_ fingerprint: Fingerprint) -> Bool { slots[index(FingerprintSet.word(fingerprint))] != 0 }

    mutating func insert(_ fingerprint: Fingerprint) {
        let word = FingerprintSet.word(fingerprint)
        if (count + 1) * 4 > slots.count * 3 {
            var old = [UInt64](repeating: 0, count: slots.count * 2)
            swap(&old, &slots)
            for word in old where word != 0 { slots[index(word)] = word }
        }
        let index = index(word)
        guard slots[index] == 0 else { return }
        slots[index] = word
        count += 1
    }
}
