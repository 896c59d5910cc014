import TCPEngine
import TCPStack
import TCPWire
import Testing

/// IPv4 addresses that have another owner (RFC 5227).
@Suite("Address conflicts of IPv4")
struct ConflictTests {
    private func host(_ configuration: EthernetConfiguration = .patient) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        return (segment, segment.add(configuration))
    }

    private let own = ip("10.0.0.1")

    @Test(
        "Three probes without a sender, 1 to 2 s apart, then the address is used and announced twice [5227-1, 5227-4]")
    func probes() {
        var starts: Set<Int64> = []
        for number in 0..<8 {
            let segment = EthernetSegment()
            for _ in 0..<number { segment.add(.quick) }
            let host = segment.add(.patient)
            let start = segment.now
            segment.give(host, "10.0.0.1/24")
            #expect(host.state(of: own) == .tentative)
            var assigned: Instant?
            segment.run(.seconds(12)) {
                if assigned == nil, host.state(of: own) == .preferred { assigned = segment.now }
                return false
            }
            let packets = segment.take().compactMap { frame in frame.arp.map { (frame.time, frame.destination, $0) } }
            #expect(packets.count == 5)
            guard packets.count == 5 else { return }
            #expect(packets.allSatisfy { $0.1 == .broadcast && $0.2.operation == .request && $0.2.target == own })
            #expect(packets.prefix(3).allSatisfy { $0.2.sender.isUnspecified })
            #expect(packets.suffix(2).allSatisfy { $0.2.sender == own })
            let gaps = zip(packets, packets.dropFirst()).map { ($1.0 - $0.0).nanoseconds }
            let first = (packets[0].0 - start).nanoseconds
            starts.insert(first)
            #expect((0...1_000_000_000).contains(first))
            #expect((1_000_000_000...2_000_000_000).contains(gaps[0]))
            #expect((1_000_000_000...2_000_000_000).contains(gaps[1]))
            #expect(gaps[2] == 2_000_000_000 && gaps[3] == 2_000_000_000)
            #expect(assigned == packets[3].0)
        }
        // Hosts that are switched on together do not speak together.
        #expect(starts.count == 8)
    }

    @Test("While it probes, the host does not answer for the address, nor use it [5227-7]")
    func silent() {
        let (segment, host) = host()
        segment.give(host, "10.0.0.1/24")
        segment.run(.seconds(1))
        _ = segment.take()
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: own))
        #expect(segment.take().count == 1)
        #expect(host.link.neighbors.isEmpty)
        #expect(throws: OpenError.noRoute) {
            _ = try host.stack.connect(to: Endpoint(ip("10.0.0.9"), 80), at: segment.now)
        }
    }

    @Test(
        "Any ARP packet from the address, or a probe of another for it, ends the attempt [5227-2, 5227-3]",
        arguments: 0..<4)
    func refused(kind: Int) {
        let (segment, host) = host()
        segment.give(host, "10.0.0.1/24")
        segment.run(.milliseconds(kind == 3 ? 4_500 : 1_500))
        switch kind {
        case 0: segment.inject(arpFrame(2, from: mac(9), own, to: own))
        case 1: segment.inject(arpFrame(1, from: mac(9), own, to: ip("10.0.0.77")))
        case 2: segment.inject(arpFrame(1, from: mac(9), ip("0.0.0.0"), to: own))
        // Up to the end of ANNOUNCE_WAIT.
        default: segment.inject(arpFrame(2, from: mac(9), own, to: ip("10.0.0.1"), targetHardware: mac(1)))
        }
        #expect(host.state(of: own) == .duplicated)
        #expect(host.link.counters.addressConflicts == 1)
        _ = segment.take()
        segment.run(.seconds(60))
        #expect(segment.take().isEmpty)
        #expect(host.stack.nextHop(to: ip("10.0.0.9")) == nil)
    }

    @Test("What is no conflict: another address, a probe for another, the host's own frames come back [5227-6]")
    func noConflict() {
        let (segment, host) = host()
        segment.give(host, "10.0.0.1/24")
        segment.run(.milliseconds(1_500))
        segment.inject(arpFrame(1, from: mac(9), ip("0.0.0.0"), to: ip("10.0.0.2")))
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: own))
        segment.inject(arpFrame(1, from: mac(1), ip("0.0.0.0"), to: own))
        segment.inject(arpFrame(1, from: mac(1), own, to: own))
        #expect(host.state(of: own) == .tentative)
        segment.run(.seconds(8))
        #expect(host.state(of: own) == .preferred)
        segment.inject(arpFrame(1, from: mac(1), own, to: own))
        #expect(host.link.counters.addressConflicts == 0 && host.link.counters.addressesDefended == 0)
    }

    @Test("A claim is answered with one announcement; another within ten seconds ends the use [5227-5]")
    func defends() {
        let (segment, host) = host(.quick)
        segment.give(host, "10.0.0.1/24")
        segment.run(.seconds(5))
        for round in 1...3 {
            _ = segment.take()
            segment.inject(arpFrame(1, from: mac(9), own, to: own))
            let answers = segment.take().dropFirst()
            #expect(answers.count == 1)
            #expect(
                answers.first?.arp == ARPPacket(.request, senderHardware: mac(1), sender: own, target: own))
            #expect(host.link.counters.addressesDefended == UInt64(round))
            // The claimant is not noted for the address.
            #expect(host.link.neighbors.isEmpty)
            segment.run(.milliseconds(10_000))
        }
        segment.inject(arpFrame(1, from: mac(9), own, to: own))
        segment.run(.milliseconds(9_999))
        #expect(host.state(of: own) == .preferred)
        segment.inject(arpFrame(2, from: mac(9), own, to: ip("10.0.0.44")))
        #expect(host.state(of: own) == .duplicated)
        _ = segment.take()
        segment.inject(arpFrame(1, from: mac(8), ip("10.0.0.8"), to: own))
        #expect(segment.take().count == 1)
    }

    @Test("The owner answers a probe, so that of two hosts the second does without [5227-8]")
    func two() {
        let segment = EthernetSegment()
        let first = segment.add(.patient)
        segment.give(first, "10.0.0.1/24")
        segment.run(.seconds(10))
        let second = segment.add(.patient)
        segment.give(second, "10.0.0.1/24")
        segment.run(.seconds(10))
        #expect(first.state(of: own) == .preferred && second.state(of: own) == .duplicated)
        #expect(first.link.counters.addressesDefended == 0)
        // It may be asked for again when the other has gone.
        first.link.remove(from: &first.stack)
        segment.give(second, "10.0.0.1/24")
        segment.run(.seconds(10))
        #expect(second.state(of: own) == .preferred)
    }
}
