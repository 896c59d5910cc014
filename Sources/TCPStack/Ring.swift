import TCPEngine

/// A queue of small values in a ring that grows when it must, charged to the budget. Once empty it gives back what is more
/// than `spare` places.
struct Ring<Element> {
    private var places: [Element] = []
    private var head = 0
    private(set) var count = 0
    private let spare: Int
    private let filler: Element

    /// An empty ring. `filler` stands in places that hold nothing.
    init(filler: Element, spare: Int = 0) {
        self.filler = filler
        self.spare = spare
    }

    var isEmpty: Bool { count == 0 }

    /// Bytes charged.
    var bytes: Int { Self.bytes(places.count) }

    /// What an array of that many places takes, its header with it.
    static func bytes(_ places: Int) -> Int { places == 0 ? 0 : 32 &+ places &* MemoryLayout<Element>.stride }

    /// The value that is `index` places behind the first.
    subscript(index: Int) -> Element { places[(head &+ index) & (places.count &- 1)] }

    /// Adds a value behind the last; says whether there was memory, `keeping` bytes of the budget aside.
    mutating func append(_ value: Element, keeping: Int = 0, _ budget: inout Budget) -> Bool {
        guard reserve(keeping: keeping, &budget) else { return false }
        places[(head &+ count) & (places.count &- 1)] = value
        count &+= 1
        return true
    }

    /// Sees to it that the next `append` finds room; says whether there was memory.
    mutating func reserve(keeping: Int = 0, _ budget: inout Budget) -> Bool {
        guard count == places.count else { return true }
        let capacity = max(4, spare, count &* 2)
        // Both are there while the values move.
        guard budget.reserve(Self.bytes(capacity), keeping: keeping) else { return false }
        var larger = [Element](repeating: filler, count: capacity)
        for index in 0..<count { larger[index] = self[index] }
        budget.release(Self.bytes(places.count))
        places = larger
        head = 0
        return true
    }

    /// Takes the first value.
    mutating func removeFirst(_ budget: inout Budget) -> Element? {
        guard count > 0 else { return nil }
        let value = places[head]
        head = (head &+ 1) & (places.count &- 1)
        count &-= 1
        if count == 0 { shrink(&budget) }
        return value
    }

    /// Gives back what an empty ring does not need.
    mutating func giveBack(_ budget: inout Budget) { if count == 0 { shrink(&budget) } }

    private mutating func shrink(_ budget: inout Budget) {
        head = 0
        guard places.count > spare else { return }
        budget.release(Self.bytes(places.count))
        places = []
        if spare > 0, budget.reserve(Self.bytes(spare)) { places = [Element](repeating: filler, count: spare) }
    }
}
