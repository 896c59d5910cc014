import TCPSimulator
import TCPWire
import Testing

@Suite("A wire")
struct WireTests {
    private struct Arrival: Equatable {
        var time: Int64
        var sequence: UInt32
        var end: Wire.End
    }

    private static let left = Endpoint(IPAddress(10, 0, 0, 1), 4000)
    private static let right = Endpoint(IPAddress(10, 0, 0, 2), 80)

    private static func segment(
        _ sequence: UInt32, flags: TCPFlags = .ack, size: Int, from end: Wire.End = .left, port: UInt16 = 4000
    ) -> [UInt8] {
        let near = Endpoint(left.address, port)
        return RawSegment.packet(
            from: end == .left ? near : right, to: end == .left ? right : near, sequence: SequenceNumber(sequence),
            flags: flags, payload: [UInt8](repeating: 7, count: size))
    }

    /// Everything that is under way, when it arrives.
    private func arrivals(_ wire: Wire) throws -> [Arrival] {
        var seen: [Arrival] = []
        while let next = wire.nextArrival {
            let early = Instant(nanoseconds: next.nanoseconds - 1)
            #expect(!wire.deliver(at: early) { _, _, _ in })
            let came = try wire.deliver(at: next) { packet, end, due in
                #expect(due == next)
                let (_, header, _) = try #require(RawSegment.parse(packet.bytes()))
                seen.append(Arrival(time: due.nanoseconds, sequence: header.sequence.rawValue, end: end))
            }
            #expect(came)
        }
        return seen
    }

    @Test("A wire brings each packet to the other end when rate and delay say, and not before")
    func times() throws {
        let wire = Wire(LinkConfiguration(rate: 8e6, delay: .milliseconds(5)), seed: 1)
        for number in 0..<3 as Range<UInt32> {
            wire.offer(Self.segment(number, size: 960).span.bytes, from: .left, at: .zero)
        }
        wire.offer(Self.segment(9, size: 0, from: .right).span.bytes, from: .right, at: .zero)
        let seen = try arrivals(wire)
        #expect(
            seen == [
                Arrival(time: 5_040_000, sequence: 9, end: .left),
                Arrival(time: 6_000_000, sequence: 0, end: .right),
                Arrival(time: 7_000_000, sequence: 1, end: .right),
                Arrival(time: 8_000_000, sequence: 2, end: .right),
            ])
    }

    @Test("A wire drops what its queue has no room for, counts it, and carries nothing that is not IP")
    func queue() throws {
        let wire = Wire(LinkConfiguration(rate: 8e6, delay: .zero, queue: 3000), seed: 1)
        for number in 0..<10 as Range<UInt32> {
            wire.offer(Self.segment(number, size: 960).span.bytes, from: .left, at: .zero)
        }
        wire.offer([0xFF, 0, 0, 0].span.bytes, from: .left, at: .zero)
        #expect(try arrivals(wire).map(\.sequence) == [0, 1, 2])
        #expect(wire.direction(from: .left).lost == 7)
        #expect(wire.direction(from: .left).offered == 10)
    }

    @Test("A wire repeats, delays and spoils packets as its direction's faults say")
    func faults() throws {
        let wire = Wire(LinkConfiguration(delay: .milliseconds(1)), seed: 1)
        let direction = wire.direction(from: .left)
        direction.faults.losesPackets = [1]
        direction.faults.duplicatesPackets = [2]
        direction.faults.delaysPackets = [3: .milliseconds(10)]
        direction.faults.corruptsPackets = [4]
        let sent = (0..<5 as Range<UInt32>).map { Self.segment($0, size: 60) }
        for packet in sent { wire.offer(packet.span.bytes, from: .left, at: .zero) }
        var seen: [[UInt8]] = []
        while let next = wire.nextArrival { _ = wire.deliver(at: next) { packet, _, _ in seen.append(packet.bytes()) } }
        #expect(seen.count == 5)
        // What is spoilt did not arrive as it was sent.
        #expect(direction.lost == 2)
        #expect(seen[0] == sent[1] && seen[3] == sent[1] && seen[4] == sent[2] && seen[2] == sent[4])
        #expect(seen[1] != sent[3] && zip(seen[1], sent[3]).filter { $0 != $1 }.count == 1)
    }

    @Test("A wire carries large packets after small ones, each as it was sent")
    func sizes() throws {
        let wire = Wire(LinkConfiguration(delay: .milliseconds(1)), seed: 1)
        for size in [10, 9000, 1460, 0, 9000] {
            let sent = Self.segment(UInt32(size), size: size)
            wire.offer(sent.span.bytes, from: .right, at: .zero)
            var seen: [[UInt8]] = []
            let next = try #require(wire.nextArrival)
            _ = wire.deliver(at: next) { packet, _, _ in seen.append(packet.bytes()) }
            #expect(seen == [sent])
        }
    }

    // MARK: Faults by sequence

    private static let size = 100

    /// A wire whose left end loses by sequence, and the numbers of the segments that `send` got through.
    private func through(
        loss: Double, seed: UInt64 = 3, _ send: (Wire) -> Void
    ) throws -> (arrived: [UInt32], faults: SequenceFaults) {
        let wire = Wire(LinkConfiguration(delay: .milliseconds(1)), seed: 1)
        let faults = SequenceFaults(seed: seed, segmentSize: Self.size)
        faults.loss = loss
        wire.direction(from: .left).script = { faults.fate(of: $0) }
        send(wire)
        return (try arrivals(wire).map(\.sequence), faults)
    }

    private func send(
        _ count: Int, over wire: Wire, initial: UInt32 = 1000, port: UInt16 = 4000, chatter: Bool = false
    ) {
        func offer(_ packet: [UInt8]) { wire.offer(packet.span.bytes, from: .left, at: .zero) }
        offer(Self.segment(initial, flags: .syn, size: 0, port: port))
        for number in 0..<count {
            if chatter { offer(Self.segment(initial &+ 1, size: 0, port: port)) }
            offer(Self.segment(initial &+ 1 &+ UInt32(number * Self.size), size: Self.size, port: port))
        }
    }

    @Test("Losses by sequence meet the same octets whatever the initial sequence number, and whatever else is sent")
    func sameLosses() throws {
        let plain = try through(loss: 0.1) { send(500, over: $0) }.arrived.map { $0 &- 1000 }
        let wrapping = try through(loss: 0.1) { send(500, over: $0, initial: .max - 700, chatter: true) }
        let others = wrapping.arrived.map { $0 &- (.max - 700) }
        // Without the acknowledgments between, which all say one number and arrive all.
        #expect(plain.filter { $0 != 1 } == others.filter { $0 != 1 })
        #expect((25...75).contains(501 - plain.count))
        let another = try through(loss: 0.1, seed: 4) { send(500, over: $0) }.arrived.map { $0 &- 1000 }
        #expect(another != plain)
    }

    @Test("What is sent again meets a chance of its own, and is counted")
    func again() throws {
        let (arrived, faults) = try through(loss: 0.5) { wire in
            send(400, over: wire)
            send(400, over: wire)
        }
        // Two sends of the SYN and of each segment: about a quarter never arrives, half arrives once, a quarter twice.
        let times = Dictionary(grouping: arrived) { $0 }.mapValues(\.count)
        #expect((70...130).contains(401 - times.count))
        #expect((70...130).contains(times.values.filter { $0 == 2 }.count))
        #expect(faults.repeated == 401)
    }

    @Test("The second connection meets other losses than the first, and a SYN sent again is no second")
    func connections() throws {
        func lost(_ arrived: [UInt32], _ initial: UInt32) -> Set<UInt32> {
            let offsets = (0..<500).map { initial &+ 1 &+ UInt32($0 * Self.size) }
            return Set(offsets.filter { !arrived.contains($0) }.map { $0 &- initial })
        }
        let arrived = try through(loss: 0.1) { wire in
            send(500, over: wire)
            wire.offer(Self.segment(1000, flags: .syn, size: 0).span.bytes, from: .left, at: .zero)
            send(500, over: wire, initial: 1_000_000, port: 4001)
        }.arrived
        #expect(lost(arrived, 1000) != lost(arrived, 1_000_000))
        let twice = try through(loss: 0.1) { wire in
            send(500, over: wire, initial: 5000, port: 4005)
            send(500, over: wire, initial: 2_000_000, port: 4006)
        }.arrived
        #expect(lost(twice, 2_000_000) == lost(arrived, 1_000_000))
    }

    @Test("Acknowledgments, resets, and connections of which no SYN was seen are left to the direction's own faults")
    func others() throws {
        let (arrived, faults) = try through(loss: 1) { wire in
            func offer(_ packet: [UInt8]) { wire.offer(packet.span.bytes, from: .left, at: .zero) }
            offer(Self.segment(7, size: Self.size))
            offer(Self.segment(8, flags: .syn, size: 0))
            offer(Self.segment(9, size: 0))
            offer(Self.segment(10, flags: .rst, size: 0))
            offer(Self.segment(11, flags: [.fin, .ack], size: 0))
        }
        #expect(arrived == [7, 9, 10])
        #expect(faults.repeated == 0)
    }

    @Test("Reordering by sequence delays the share asked for, by no more than it may")
    func reordering() throws {
        let wire = Wire(LinkConfiguration(delay: .milliseconds(1)), seed: 1)
        let faults = SequenceFaults(seed: 3, segmentSize: Self.size)
        faults.reordering = 0.2
        faults.reorderingDelay = .milliseconds(4)
        wire.direction(from: .left).script = { faults.fate(of: $0) }
        send(500, over: wire)
        let late = try arrivals(wire).filter { $0.time > 1_000_000 }
        #expect((60...140).contains(late.count))
        #expect(late.allSatisfy { $0.time <= 5_000_000 })
        #expect(Set(late.map(\.time)).count > 50)
    }
}
