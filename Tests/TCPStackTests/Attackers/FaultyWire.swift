import TCPWire

/// What comes next in time; of the same time, what was put in first.
struct Agenda<Item> {
    private var items: [(time: Int64, order: UInt64, item: Item)] = []
    private var order: UInt64 = 0

    var isEmpty: Bool { items.isEmpty }
    var count: Int { items.count }
    /// When the first is due.
    var first: Instant? { items.first.map { Instant(nanoseconds: $0.time) } }

    mutating func add(_ item: Item, at time: Instant) {
        items.append((time.nanoseconds, order, item))
        order += 1
        var child = items.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// The first item, if it is due at `now`.
    mutating func next(at now: Instant) -> Item? {
        guard let first = items.first, first.time <= now.nanoseconds else { return nil }
        let last = items.removeLast()
        guard !items.isEmpty else { return last.item }
        items[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count && isBefore(child, least) {
                least = child
            }
            if least == parent { break }
            items.swapAt(parent, least)
            parent = least
        }
        return first.item
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (items[left].time, items[left].order) < (items[right].time, items[right].order)
    }
}

/// A wire in memory that loses, doubles, delays and spoils packets, and at times carries nothing at all.
struct FaultyWire {
    struct Packet {
        var toServer: Bool
        var octets: [UInt8]
    }

    /// In packets of 10,000.
    var loss = 200
    var duplication = 100
    var reordering = 1_000
    var corruption = 100
    var delay: Duration = .milliseconds(10)
    /// How much later a packet comes that others overtake, at most.
    var lateness: Duration = .milliseconds(40)
    private(set) var lost = 0
    private(set) var doubled = 0
    private(set) var spoilt = 0
    private(set) var late = 0
    private(set) var carried = 0
    /// Until when nothing passes.
    var outage = Instant.zero
    /// Ports of clients of which nothing passes any more.
    var vanished: Set<UInt16> = []
    private var packets = Agenda<Packet>()
    private var random: Pseudorandom

    init(seed: UInt64) { random = Pseudorandom(seed: seed) }

    var isEmpty: Bool { packets.isEmpty }
    var next: Instant? { packets.first }

    private mutating func strikes(_ chance: Int) -> Bool { random.next() % 10_000 < UInt64(chance) }

    mutating func send(_ octets: [UInt8], toServer: Bool, at now: Instant) {
        if now < outage || !vanished.isEmpty && vanished.contains(clientPort(octets, toServer: toServer))
            || strikes(loss)
        {
            lost += 1
            return
        }
        carried += 1
        if strikes(duplication) {
            doubled += 1
            add(octets, toServer, at: now)
        }
        add(octets, toServer, at: now)
    }

    private mutating func add(_ octets: [UInt8], _ toServer: Bool, at now: Instant) {
        var arrival = now + delay
        if strikes(reordering) {
            late += 1
            arrival = arrival + .nanoseconds(Int64(random.next() % UInt64(lateness.nanoseconds)))
        }
        var octets = octets
        if strikes(corruption) {
            spoilt += 1
            let bit = Int(random.next() % UInt64(octets.count * 8))
            octets[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        packets.add(Packet(toServer: toServer, octets: octets), at: arrival)
    }

    private func clientPort(_ octets: [UInt8], toServer: Bool) -> UInt16 {
        let offset = (octets[0] >> 4 == 4 ? 20 : 40) + (toServer ? 0 : 2)
        return UInt16(octets[offset]) << 8 | UInt16(octets[offset + 1])
    }

    mutating func receive(at now: Instant) -> Packet? { packets.next(at: now) }
}
