internal import TCPWire

/// Losses and delays that depend on a seed, on the place of a segment in its stream, and on how often that place was
/// sent: on nothing else. Two stacks that send the same octets in segments of one size meet the same ones, whatever else
/// each of them sends, and when.
///
/// It is the script of one `LinkDirection`. Connections are told apart by ports and initial sequence number, and counted
/// in the order of their first SYN. What takes no place in a stream, an acknowledgment or a reset, is left to the
/// direction's `faults`; so is what belongs to a connection of which no SYN was seen.
package final class SequenceFaults {
    /// The share of segments lost: 0...1.
    package var loss = 0.0
    /// The share of segments that arrives later than those sent after it.
    package var reordering = 0.0
    /// At most this much later, by chance.
    package var reorderingDelay: Duration = .milliseconds(10)
    /// Segments whose place had been sent before.
    package private(set) var repeated = 0

    private let seed: UInt64
    private let segmentSize: Int
    private var flows: [UInt32: Flow] = [:]
    private var flowCount: UInt64 = 0

    private struct Flow {
        var number: UInt64
        var initial: SequenceNumber
        /// How often each place was sent: the SYN, then one place a segment's size.
        var sent: [UInt8] = []
    }

    /// No faults.
    ///
    /// - Parameters:
    ///   - seed: What chance comes from.
    ///   - segmentSize: The octets that are one place: those of a full segment.
    package init(seed: UInt64, segmentSize: Int) {
        self.seed = SimulationRandom.mix(seed)
        self.segmentSize = segmentSize
    }

    /// What is to become of a packet; `nil` leaves it to others.
    package func fate(of packet: OfferedPacket) -> PacketFate? {
        guard let header = packet.header, !header.flags.contains(.rst) else { return nil }
        let key = UInt32(header.sourcePort) &<< 16 | UInt32(header.destinationPort)
        let isSYN = header.flags.contains(.syn)
        if isSYN, flows[key]?.initial != header.sequence {
            flows[key] = Flow(number: flowCount, initial: header.sequence)
            flowCount += 1
        }
        guard isSYN || packet.payloadLength > 0 || header.flags.contains(.fin), let initial = flows[key]?.initial
        else { return nil }
        // RFC 9293 §3.4: the SYN is the octet before the first of data.
        let offset = Int(header.sequence.rawValue &- initial.rawValue &- 1)
        let place = isSYN ? 0 : 1 + offset / segmentSize
        let times = count(place, key)
        if times > 0 { repeated += 1 }
        return fate(flows[key]!.number, place, times)
    }

    /// How often a place was sent before.
    private func count(_ place: Int, _ key: UInt32) -> UInt8 {
        let known = flows[key]!.sent.count
        if place >= known {
            flows[key]!.sent.append(contentsOf: repeatElement(0, count: place + 1 - known))
        }
        let times = flows[key]!.sent[place]
        flows[key]!.sent[place] = times == .max ? .max : times + 1
        return times
    }

    private func fate(_ flow: UInt64, _ place: Int, _ times: UInt8) -> PacketFate {
        let name = SimulationRandom.mix(seed &+ flow) &+ (UInt64(place) &<< 8 | UInt64(times))
        var random = SimulationRandom(seed: name)
        var fate = PacketFate.delivered
        // Always in this order, so that one share leaves the other faults where they are.
        let (lossDraw, reorderingDraw, delay) = (random.unit(), random.unit(), random.unit())
        fate.isLost = lossDraw < loss
        if reorderingDraw < reordering {
            fate.extraDelay = .nanoseconds(Int64(delay * Double(reorderingDelay.nanoseconds)))
        }
        return fate
    }
}
