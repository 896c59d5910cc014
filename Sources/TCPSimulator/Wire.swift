package import TCPWire

/// A link outside a simulation: its two directions, and what is under way on them. Whoever has two ends and a clock
/// drives it; it reads no clock itself.
package final class Wire {
    /// One of its ends.
    package enum End: Int, Sendable {
        case left
        case right

        /// The other one.
        package var opposite: End { self == .left ? .right : .left }
    }

    private struct UnderWay {
        var bytes: [UInt8]
        var length: Int
        var end: End
    }

    private let directions: [LinkDirection]
    private var queue = EventQueue()
    private var underWay = SlotArray<UnderWay>()
    private var spare: [[UInt8]] = []

    /// Makes a link on which nothing is under way.
    ///
    /// - Parameters:
    ///   - configuration: How both directions carry packets. A full queue drops: nobody is told to wait.
    ///   - seed: What chance comes from.
    package init(_ configuration: LinkConfiguration, seed: UInt64) {
        directions = (0..<2).map { index in
            LinkDirection(
                index: index, configuration: configuration, destination: nil,
                random: SimulationRandom(seed: SimulationRandom.mix(seed) &+ UInt64(index)))
        }
    }

    /// The direction that leads away from `end`.
    package func direction(from end: End) -> LinkDirection { directions[end.rawValue] }

    /// Takes a packet that `end` sends at `now`, which must never go back. What is not IP is not carried.
    package func offer(_ packet: RawSpan, from end: End, at now: Instant) {
        guard let contents = PacketContents(packet) else { return }
        let direction = direction(from: end)
        var bytes = spare.popLast() ?? []
        if bytes.count < packet.byteCount { bytes = [UInt8](repeating: 0, count: max(2048, packet.byteCount)) }
        do {
            var span = bytes.mutableSpan
            var octets = span.mutableBytes
            octets.put(packet, at: 0)
        }
        let passage = direction.offer(
            &bytes, contents.header, payloadLength: contents.payloadLength, length: packet.byteCount, at: now)
        guard case .arrives(_, let time, let fate) = passage else {
            spare.append(bytes)
            return
        }
        if fate.isCorrupted { direction.corrupt(&bytes, length: packet.byteCount) }
        for copy in fate.copies {
            push(UnderWay(bytes: bytes, length: packet.byteCount, end: end.opposite), at: time + copy.nanoseconds)
        }
        push(UnderWay(bytes: bytes, length: packet.byteCount, end: end.opposite), at: time)
    }

    private func push(_ packet: UnderWay, at time: Int64) {
        queue.push(.delivery, slot: underWay.insert(packet), at: time)
    }

    /// When the next packet arrives; `nil` when none is under way.
    package var nextArrival: Instant? { queue.earliest.map(Instant.init(nanoseconds:)) }

    /// Hands over the next packet that has arrived at `now`, if one has: its octets, the end it came to, and when it
    /// was due.
    ///
    /// - Returns: whether there was one.
    package func deliver(at now: Instant, to receive: (RawSpan, End, Instant) throws -> Void) rethrows -> Bool {
        guard let due = queue.earliest, due <= now.nanoseconds, let entry = queue.pop(),
            let packet = underWay.remove(Int(entry.slot))
        else { return false }
        try receive(
            packet.bytes.span.bytes.extracting(0..<packet.length), packet.end, Instant(nanoseconds: entry.time))
        if spare.count < 4096 { spare.append(packet.bytes) }
        return true
    }
}
