/// What waits for its time in a simulation, earliest first; of the same time, first come first. A binary heap.
struct EventQueue {
    enum Kind: UInt8 {
        /// The packet in the slot arrives.
        case delivery
        /// The closure in the slot runs.
        case action
        /// The link direction in the slot has room again.
        case room
    }

    struct Entry {
        var time: Int64
        var order: UInt64
        var slot: Int32
        var kind: Kind

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : order < other.order
        }
    }

    private var heap: [Entry] = []
    private var order: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var earliest: Int64? { heap.first?.time }

    mutating func push(_ kind: Kind, slot: Int, at time: Int64) {
        order &+= 1
        heap.append(Entry(time: time, order: order, slot: Int32(slot), kind: kind))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Gives entries of one kind other times: those for whose slot there is one.
    mutating func reschedule(_ kind: Kind, _ time: (Entry) -> Int64?) {
        let entries = heap.sorted { $0.precedes($1) }
        // In order of time, an array is a heap.
        heap = entries.map { entry in
            var entry = entry
            if entry.kind == kind, let time = time(entry) { entry.time = time }
            return entry
        }.sorted { $0.precedes($1) }
    }

    mutating func pop() -> Entry? {
        guard let top = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return top }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return top }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { return top }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}

/// Values under small integers that are used again: packets in flight, closures that wait.
struct SlotArray<Value> {
    private var values: [Value?] = []
    private var free: [Int] = []

    mutating func insert(_ value: Value) -> Int {
        if let slot = free.popLast() {
            values[slot] = value
            return slot
        }
        values.append(value)
        return values.count - 1
    }

    subscript(slot: Int) -> Value? {
        get { values[slot] }
        set { values[slot] = newValue }
    }

    mutating func remove(_ slot: Int) -> Value? {
        let value = values[slot].take()
        if value != nil { free.append(slot) }
        return value
    }
}
