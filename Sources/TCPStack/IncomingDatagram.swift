import TCPEngine
import TCPWire

/// What the fragments of one datagram have in common: RFC 791 §3.2 names the protocol too, RFC 8200 §4.5 does not.
struct FragmentKey: Equatable {
    var source: IPAddress
    var identification: UInt32
    var local: UInt16
    var protocolNumber: UInt8

    init(_ header: IPHeader, _ fragment: IPFragment, _ local: UInt16) {
        source = header.source
        identification = fragment.identification
        self.local = local
        protocolNumber = source.isIPv4 ? header.protocolNumber : 0
    }
}

/// The octets of a datagram that one fragment brought: `start ..< end`.
struct FragmentRange: Equatable {
    var start: UInt16
    var end: UInt16
}

/// A datagram of which fragments have come.
struct IncomingDatagram: ~Copyable {
    let key: FragmentKey
    /// Grows from datagram to datagram.
    let serial: UInt64
    /// When it is given up.
    let expiry: Instant
    /// Why it was refused; what still comes of it is too.
    var fault: PacketFault?
    /// The octets, each where it belongs.
    var queue = ByteQueue()
    /// Bytes of the blocks the queue holds.
    var blockBytes = 0
    /// What has come, in order, without an overlap.
    private(set) var ranges: [FragmentRange] = []
    /// Octets that have come.
    private(set) var octets = 0
    /// Octets of the whole; known from the last fragment on.
    private(set) var length: Int?
    /// The first fragment's header: the datagram's, but for its lengths (RFC 8200 §4.5).
    private(set) var first: IPHeader?
    /// A bit for each ECN codepoint that was seen.
    private var codepoints: UInt8 = 0

    init(_ key: FragmentKey, serial: UInt64, expiry: Instant, capacity: Int) {
        self.key = key
        self.serial = serial
        self.expiry = expiry
        ranges.reserveCapacity(capacity)
    }

    /// Notes a fragment; says whether the datagram is whole with it.
    ///
    /// - Throws: `fragmentDuplicate` when it was there; any other fault ends the datagram.
    mutating func add(
        _ header: IPHeader, _ fragment: IPFragment, length count: Int, limit: Int
    ) throws(PacketFault) -> Bool {
        let start = fragment.offset
        let end = start &+ count
        let index = firstIndex(endingAfter: start)
        let range = FragmentRange(start: UInt16(truncatingIfNeeded: start), end: UInt16(truncatingIfNeeded: end))
        let isLast = !fragment.hasMore
        // What came first stays.
        if index < ranges.count, ranges[index] == range, isLast == (length == end) { throw .fragmentDuplicate }
        // RFC 5722 §4, for IPv4 too: whoever overlaps is no honest sender.
        if index < ranges.count, Int(ranges[index].start) < end { throw .fragmentOverlap }
        try checkEnd(end, isLast: isLast)
        guard ranges.count < limit else { throw .tooManyFragments }
        ranges.insert(range, at: index)
        octets &+= count
        if isLast { length = end }
        if start == 0 { first = header }
        codepoints |= 1 &<< (header.trafficClass & 3)
        guard let length, octets == length else { return false }
        queue.extend(by: length)
        return true
    }

    /// There is one last fragment, and nothing comes after it.
    private func checkEnd(_ end: Int, isLast: Bool) throws(PacketFault) {
        if let length {
            guard isLast ? end == length : end < length else { throw .fragmentMismatch }
        } else if isLast, let furthest = ranges.last {
            guard Int(furthest.end) < end else { throw .fragmentMismatch }
        }
    }

    /// The first range that ends after `position`.
    private func firstIndex(endingAfter position: Int) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low &+ high) / 2
            if Int(ranges[middle].end) > position { high = middle } else { low = middle &+ 1 }
        }
        return low
    }

    /// What can be told only of all fragments together.
    func checkWhole() throws(PacketFault) {
        guard let first, let length else { throw .fragmentHeader }
        // The first fragment's headers are the datagram's; others may have had fewer.
        guard first.fragmentOverhead &+ length <= 65_535 else { throw .fragmentTooLong }
        // RFC 3168 §5.3: a mark of congestion is never lost, nor put on what cannot carry it.
        if codepoints & 0b1000 != 0, codepoints & 0b0001 != 0 { throw .fragmentMismatch }
    }

    /// The header of the first fragment and how many octets it brought, if it came.
    var firstFragment: (header: IPHeader, count: Int)? {
        guard let first, let range = ranges.first, range.start == 0 else { return nil }
        return (first, Int(range.end))
    }

    /// The header of the whole.
    var header: IPHeader? {
        guard let first else { return nil }
        return IPHeader(
            source: first.source, destination: first.destination, protocolNumber: first.protocolNumber,
            hopLimit: first.hopLimit,
            trafficClass: codepoints & 0b1000 != 0 ? first.trafficClass | 3 : first.trafficClass)
    }
}
