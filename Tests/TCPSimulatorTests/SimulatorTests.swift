import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

@Suite("The simulated network")
struct SimulatorTests {
    /// Packets of an end without a stack, and when they arrive at the other.
    private func arrivals(
        _ link: LinkConfiguration, count: Int, size: Int, _ prepare: (LinkDirection) -> Void = { _ in }
    )
        -> [(time: Duration, number: UInt32)]
    {
        let simulation = Simulation(seed: 4)
        let sender = simulation.addScriptedHost("sender", addresses: ["10.0.0.1/32"])
        let receiver = simulation.addScriptedHost("receiver", addresses: ["10.0.0.2/32"])
        let made = simulation.addLink(sender, receiver, link)
        prepare(made.forward)
        var seen: [(time: Duration, number: UInt32)] = []
        receiver.onPacket = { host, bytes in
            guard let (_, header, _) = RawSegment.parse(bytes) else { return }
            seen.append((host.simulation.now - .zero, header.sequence.rawValue))
        }
        for number in 0..<count {
            sender.send(
                RawSegment.packet(
                    from: sender.endpoint(1), to: receiver.endpoint(2), sequence: SequenceNumber(UInt32(number)),
                    flags: .ack, payload: [UInt8](repeating: 7, count: size - 40)))
        }
        simulation.runUntilIdle()
        return seen
    }

    @Test("A link of 8 Mbit/s takes a millisecond for each 1,000 octets, and its delay comes on top")
    func rate() {
        let seen = arrivals(LinkConfiguration(rate: 8e6, delay: .milliseconds(5)), count: 3, size: 1000)
        #expect(seen.map(\.time) == [.milliseconds(6), .milliseconds(7), .milliseconds(8)])
    }

    @Test("What does not fit the queue is dropped from its tail")
    func queue() {
        let seen = arrivals(LinkConfiguration(rate: 8e6, delay: .zero, queue: 3000), count: 10, size: 1000)
        #expect(seen.map(\.number) == [0, 1, 2])
    }

    @Test("Packets are lost, repeated, delayed and spoilt by their number")
    func lists() {
        let seen = arrivals(LinkConfiguration(delay: .milliseconds(1)), count: 5, size: 100) { direction in
            direction.faults.losesPackets = [1]
            direction.faults.duplicatesPackets = [2]
            direction.faults.delaysPackets = [3: .milliseconds(10)]
        }
        #expect(seen.map(\.number) == [1, 3, 4, 1, 2])
    }

    @Test("A script decides about each packet")
    func script() {
        let seen = arrivals(LinkConfiguration(delay: .milliseconds(1)), count: 6, size: 100) { direction in
            direction.script = { packet in
                packet.ordinal % 3 == 0 ? .lost : packet.ordinal == 1 ? .delayed(.milliseconds(5)) : nil
            }
        }
        #expect(seen.map(\.number) == [1, 3, 4, 0])
    }

    @Test("The share of packets lost by chance is the share asked for")
    func chance() {
        var counts: [Int] = []
        for faults in [
            LinkFaults(loss: 0.1), LinkFaults(duplication: 0.1), LinkFaults(loss: 1), LinkFaults(reordering: 0.3),
        ] {
            counts.append(arrivals(LinkConfiguration(), count: 2000, size: 40) { $0.faults = faults }.count)
        }
        #expect((1750...1850).contains(counts[0]) && (2150...2250).contains(counts[1]))
        #expect(counts[2] == 0 && counts[3] == 2000)
    }

    @Test("A checksum catches every packet whose bits were turned over", arguments: [false, true])
    func corruption(offload: Bool) throws {
        var link = LinkConfiguration(delay: .milliseconds(5))
        link.checksumOffload = offload
        let pair = Pair(seed: 2, link: link)
        pair.link.forward.faults.corruption = 0.2
        pair.link.backward.faults.corruption = 0.2
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 50_000), receiver)
        pair.simulation.runUntilIdle()
        #expect(receiver.received == 50_000 && receiver.isIntact)
        let spoilt = pair.trace.segments.filter { $0.fate == .corrupted }
        #expect(spoilt.count > 5)
        let counted = PacketFault.allCases.reduce(UInt64(0)) {
            $0 + pair.client.stack.counters[$1] + pair.server.stack.counters[$1]
        }
        #expect(counted >= UInt64(spoilt.count))
    }

    @Test("A link that says \"not now\" loses nothing, and the host keeps what it could not send")
    func backPressure() throws {
        var link = LinkConfiguration(rate: 10e6, delay: .milliseconds(30), queue: 5000)
        link.whenFull = .waits
        let pair = Pair(link: link)
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 500_000), receiver)
        pair.simulation.runUntilIdle()
        #expect(receiver.received == 500_000 && receiver.isIntact)
        #expect(pair.link.forward.lost == 0 && pair.client.stack.counters.segmentsRetransmitted == 0)
    }

    @Test("Packets can be held, and let go in any order, twice, or never")
    func held() throws {
        let pair = Pair()
        pair.link.forward.script = { packet in packet.ordinal > 2 ? .held : nil }
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked)
        try pair.connect(
            StreamApplication(sending: 3000, writing: .afterOpening(.milliseconds(30)), closing: .whenAsked), receiver)
        // Before the tail loss probe (RFC 8985 §7.2).
        pair.simulation.run(for: .milliseconds(80))
        #expect(pair.simulation.heldPackets.count == 3 && receiver.received == 0)
        pair.simulation.releaseHeld(at: 2)
        pair.simulation.duplicateHeld(at: 1)
        #expect(receiver.received == 0)
        pair.simulation.dropHeld(at: 1)
        pair.simulation.releaseHeld(at: 0)
        #expect(receiver.received == 3000 && receiver.isIntact)
        #expect(pair.trace.segments.filter { $0.fate == .lost }.count == 1)
    }

    @Test("What is under way when a link is cut does not arrive, and the connection goes on when it is mended")
    func cut() throws {
        let pair = Pair()
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 100_000, writing: .afterOpening(.milliseconds(5))), receiver)
        pair.simulation.after(.milliseconds(30)) { pair.link.forward.isCut = true }
        pair.simulation.after(.milliseconds(700)) { pair.link.forward.isCut = false }
        pair.simulation.runUntilIdle()
        #expect(receiver.received == 100_000 && receiver.isIntact)
        #expect(pair.trace.segments.contains { $0.fate == .unreachable })
    }

    @Test("A host that crashed answers nothing, and with resets when it is back")
    func crash() throws {
        let pair = Pair()
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked)
        let sender = StreamApplication(sending: 100, writing: .whenAsked, closing: .whenAsked)
        try pair.connect(sender, receiver)
        pair.simulation.run(for: .milliseconds(100))
        pair.server.crash()
        sender.startWriting()
        pair.simulation.run(for: .milliseconds(500))
        #expect(sender.error == nil && pair.trace.segments.contains { $0.fate == .unreachable })
        pair.server.restart()
        pair.simulation.runUntilIdle(limit: .seconds(10))
        #expect(sender.error == .reset)
    }

    @Test("An echo comes back as it was sent")
    func echo() throws {
        let pair = Pair()
        try pair.server.listen(on: 7) { _ in EchoApplication() }
        let pattern = PayloadPattern(seed: 5)
        let client = StreamApplication(sending: 60_000, pattern: pattern, expecting: pattern)
        try pair.client.connect(to: pair.server.endpoint(7), client)
        pair.simulation.runUntilIdle()
        #expect(client.received == 60_000 && client.isIntact && client.hasReadEnd)
    }

    @Test("A program without a network learns in time that it cannot connect")
    func timeout() throws {
        let pair = Pair()
        pair.link.forward.isCut = true
        let client = StreamApplication(closing: .whenAsked)
        try pair.client.connect(to: pair.server.endpoint(80), client)
        #expect(pair.simulation.runUntilIdle() == .idle)
        #expect(client.error == .timedOut && pair.simulation.now.nanoseconds >= 180_000_000_000)
    }

    @Test("A pattern knows each of its octets, whatever part of it is looked at")
    func pattern() {
        let pattern = PayloadPattern(seed: 77)
        var whole = [UInt8](repeating: 0, count: 100)
        var span = whole.mutableSpan
        var bytes = span.mutableBytes
        pattern.fill(&bytes, from: 0)
        for start in 0..<20 {
            for end in start...40 {
                let isRight = pattern.matches(whole.span.bytes.extracting(start..<end), from: start)
                #expect(isRight)
                var part = [UInt8](repeating: 0, count: end - start)
                var partSpan = part.mutableSpan
                var partBytes = partSpan.mutableBytes
                pattern.fill(&partBytes, from: start)
                #expect(part == Array(whole[start..<end]))
            }
        }
        var wrong = whole
        wrong[37] ^= 1
        let seesWrongOctet = !pattern.matches(wrong.span.bytes, from: 0)
        let seesWrongPlace = !pattern.matches(whole.span.bytes, from: 1)
        #expect(seesWrongOctet && seesWrongPlace)
    }

    @Test("The random numbers are those of xoshiro256** and SplitMix64")
    func random() {
        // SplitMix64's first output for a seed of zero, as its authors publish it.
        #expect(SimulationRandom.mix(0x9E37_79B9_7F4A_7C15) == 0xE220_A839_7B1D_CDAF)
        var (one, other) = (SimulationRandom(seed: 8), SimulationRandom(seed: 8))
        for _ in 0..<100 { #expect(one.next() == other.next()) }
        #expect((0..<1000).allSatisfy { _ in (0..<10).contains(one.below(10)) && (0..<1).contains(one.unit()) })
    }
}
