import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

/// Ends without a stack, and the packets of one as they arrive at the other.
private final class Wire {
    struct Arrival {
        var time: Duration
        var number: UInt32
        var trafficClass: UInt8
    }

    let simulation = Simulation(seed: 4)
    let sender: ScriptedHost
    let receiver: ScriptedHost
    let link: Simulation.Link
    private(set) var arrivals: [Arrival] = []
    private let ipv6: Bool

    init(_ configuration: LinkConfiguration, ipv6: Bool = false) {
        self.ipv6 = ipv6
        sender = simulation.addScriptedHost("sender", addresses: [ipv6 ? "fd00::1/128" : "10.0.0.1/32"])
        receiver = simulation.addScriptedHost("receiver", addresses: [ipv6 ? "fd00::2/128" : "10.0.0.2/32"])
        link = simulation.addLink(sender, receiver, configuration)
        receiver.onPacket = { [unowned self] host, bytes in
            // A header whose checksum is wrong is no header, and a segment whose checksum is wrong no segment.
            guard let (ip, header, _) = RawSegment.parse(bytes) else { return }
            arrivals.append(
                Arrival(
                    time: host.simulation.now - .zero, number: header.sequence.rawValue,
                    trafficClass: ip.trafficClass))
        }
    }

    /// Sends a packet of that many octets with that ECN field and DSCP.
    func send(_ number: Int, size: Int = 1000, trafficClass: UInt8 = 0) {
        let ip = IPHeader(
            source: sender.endpoint(1, ipv6: ipv6).address, destination: receiver.endpoint(2, ipv6: ipv6).address,
            protocolNumber: IPProtocol.tcp, trafficClass: trafficClass)
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(UInt32(number)),
            acknowledgment: SequenceNumber(0), flags: .ack, window: 1000, options: TCPOptions())
        var packet = [UInt8](repeating: 0, count: size)
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        ip.write(to: &bytes, payloadLength: size - ip.headerLength)
        header.write(to: &bytes, at: ip.headerLength)
        TCPHeader.writeChecksum(
            in: &bytes, range: ip.headerLength..<size, source: ip.source, destination: ip.destination, partial: false)
        sender.send(packet)
    }
}

@Suite("Queues that mark")
struct MarkingTests {
    /// 8 Mbit/s: a packet of 1,000 octets takes a millisecond.
    private func link(_ marking: QueueMarking, queue: Int? = nil) -> LinkConfiguration {
        var link = LinkConfiguration(rate: 8e6, delay: .milliseconds(5), queue: queue)
        link.marking = marking
        return link
    }

    @Test(
        "A packet that finds more than the threshold is marked, and its header stays right",
        arguments: [false, true], [UInt8(1), 2])
    func step(ipv6: Bool, capable: UInt8) {
        let wire = Wire(link(.step(at: 3000)), ipv6: ipv6)
        // All at once: the fourth finds three thousand octets, which is not more; the fifth finds four thousand.
        for number in 0..<7 { wire.send(number, trafficClass: 0xA8 | capable) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.map(\.number) == Array(0..<7))
        #expect(
            wire.arrivals.map(\.trafficClass) == [UInt8](repeating: 0xA8 | capable, count: 4) + [0xAB, 0xAB, 0xAB])
        #expect(wire.link.forward.marked == 3 && wire.link.forward.lost == 0)
    }

    @Test("A packet that bears a mark already keeps it, whoever set it", arguments: [false, true])
    func already(ipv6: Bool) {
        let wire = Wire(link(.step(at: 0)), ipv6: ipv6)
        for number in 0..<3 { wire.send(number, trafficClass: 3) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.map(\.trafficClass) == [3, 3, 3] && wire.link.forward.marked == 2)
    }

    @Test("RFC 3168 §5: what is to be marked and is not ECN-capable is dropped", arguments: [false, true])
    func incapable(ipv6: Bool) {
        let wire = Wire(link(.step(at: 3000)), ipv6: ipv6)
        for number in 0..<6 { wire.send(number, trafficClass: 0xA8 | (number == 5 ? 2 : 0)) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.map(\.number) == [0, 1, 2, 3, 5])
        #expect(wire.arrivals.last?.trafficClass == 0xAB)
        #expect(wire.link.forward.dropped == 1 && wire.link.forward.lost == 1 && wire.link.forward.marked == 1)
    }

    @Test("What is not ECN-capable passes where the queue lets it, until the queue is full")
    func passes() {
        let wire = Wire(link(.step(at: 1000, incapable: .passes), queue: 5000))
        for number in 0..<8 { wire.send(number, trafficClass: 0xA8) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.map(\.number) == [0, 1, 2, 3, 4] && wire.arrivals.allSatisfy { $0.trafficClass == 0xA8 })
        #expect(wire.link.forward.dropped == 3 && wire.link.forward.marked == 0)
    }

    @Test("Between two thresholds a packet is marked by a probability that rises from nothing; past both always")
    func ramp() {
        let count = 4000
        let marking = QueueMarking.ramp(from: 10_000, to: 30_000, probability: 0.5)
        // How many of that many packets are marked that find so many octets.
        func marked(finding backlog: Int) -> Int {
            let wire = Wire(link(marking))
            // One leaves before the next is sent.
            for _ in 0...backlog / 1000 { wire.send(0, trafficClass: 1) }
            let before = wire.link.forward.marked
            for number in 0..<count {
                wire.simulation.after(.milliseconds(number + 1)) { wire.send(number, trafficClass: 1) }
            }
            wire.simulation.runUntilIdle()
            return wire.link.forward.marked - before
        }
        #expect(marked(finding: 10_000) == 0)
        // Half way: a quarter. Three standard deviations are 82.
        #expect((918...1082).contains(marked(finding: 20_000)))
        // At the ceiling one half, and past it every one.
        #expect((1905...2095).contains(marked(finding: 30_000)))
        #expect(marked(finding: 31_000) == count)
    }

    @Test("A link without a rate has no queue, and marks nothing")
    func unlimited() {
        var link = LinkConfiguration()
        link.marking = .step(at: 0)
        let wire = Wire(link)
        for number in 0..<5 { wire.send(number, trafficClass: 1) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.count == 5 && wire.link.forward.marked == 0)
    }
}

@Suite("Queues, delays and rates over time")
struct LinkTests {
    @Test("The mean of what waits is the octets over time, falling as they leave")
    func meanBacklog() {
        let wire = Wire(LinkConfiguration(rate: 8e6, delay: .zero))
        // 4,000 octets that leave in 4 ms are 2,000 on average; then nothing for 4 ms; then 1,000 in 1 ms.
        for number in 0..<4 { wire.send(number) }
        wire.simulation.after(.milliseconds(8)) { wire.send(4) }
        wire.simulation.run(for: .milliseconds(2))
        let half = wire.link.forward.backlogOverTime(until: wire.simulation.now)
        #expect(abs(half - 3000 * 0.002) < 1e-6)
        wire.simulation.run(for: .milliseconds(6))
        let whole = wire.link.forward.backlogOverTime(until: wire.simulation.now)
        #expect(abs(whole - 2000 * 0.004) < 1e-6)
        wire.simulation.run(for: .milliseconds(12))
        let all = wire.link.forward.backlogOverTime(until: wire.simulation.now)
        #expect(abs(all - whole - 500 * 0.001) < 1e-6)
        #expect(wire.link.forward.highestBacklog == 4000)
    }

    @Test("Jitter of 10 ms on 20 ms is every delay from 10 to 30 ms, and none beside, whether order is kept or not")
    func jitterBounds() {
        for keepsOrder in [false, true] {
            var link = LinkConfiguration(delay: .milliseconds(20))
            link.jitter = .milliseconds(10)
            link.jitterKeepsOrder = keepsOrder
            let wire = Wire(link)
            let count = 2000
            // So far apart that none meets another.
            for number in 0..<count {
                wire.simulation.after(.milliseconds(100 * number)) { wire.send(number, size: 100) }
            }
            wire.simulation.runUntilIdle()
            let delays = wire.arrivals.map { $0.time - .milliseconds(100 * Int($0.number)) }
            #expect(delays.count == count)
            #expect(delays.allSatisfy { $0 >= .milliseconds(10) && $0 <= .milliseconds(30) })
            // Each quarter of the breadth has its share; three standard deviations are 58.
            for quarter in 0..<4 {
                let from = Duration.milliseconds(10 + 5 * quarter)
                let share = delays.count { $0 >= from && $0 < from + .milliseconds(5) }
                #expect((442...558).contains(share), "\(quarter): \(share)")
            }
        }
    }

    @Test("Jitter never lets a packet arrive before it was sent")
    func jitterBelowZero() {
        var link = LinkConfiguration(delay: .milliseconds(1))
        link.jitter = .milliseconds(20)
        let wire = Wire(link)
        for number in 0..<200 { wire.simulation.after(.milliseconds(50 * number)) { wire.send(number, size: 100) } }
        wire.simulation.runUntilIdle()
        let delays = wire.arrivals.map { $0.time - .milliseconds(50 * Int($0.number)) }
        #expect(delays.allSatisfy { $0 >= .zero && $0 <= .milliseconds(21) } && delays.contains(.zero))
    }

    @Test("Packets close behind each other keep their order through jitter, unless the link says otherwise")
    func jitterOrder() {
        for keepsOrder in [true, false] {
            var link = LinkConfiguration(rate: 8e6, delay: .milliseconds(20))
            link.jitter = .milliseconds(10)
            link.jitterKeepsOrder = keepsOrder
            let wire = Wire(link)
            for number in 0..<100 { wire.send(number) }
            wire.simulation.runUntilIdle()
            #expect((wire.arrivals.map(\.number) == Array(0..<100)) == keepsOrder)
            #expect(wire.arrivals.count == 100)
        }
    }

    @Test("A packet that is delayed apart arrives at most that much later, and the others in their time")
    func reordering() {
        let wire = Wire(LinkConfiguration(delay: .milliseconds(20)))
        wire.link.forward.faults.reordering = 0.3
        wire.link.forward.faults.reorderingDelay = .milliseconds(10)
        for number in 0..<500 { wire.simulation.after(.milliseconds(number)) { wire.send(number, size: 100) } }
        wire.simulation.runUntilIdle()
        let delays = wire.arrivals.map { $0.time - .milliseconds(Int($0.number)) }
        #expect(delays.allSatisfy { $0 >= .milliseconds(20) && $0 <= .milliseconds(30) })
        // Three standard deviations of 30 % of 500 are 31.
        #expect((119...181).contains(delays.count { $0 > .milliseconds(20) }))
        #expect(wire.arrivals.map(\.number) != wire.arrivals.map(\.number).sorted())
    }

    @Test("When the rate falls, what waits leaves at the new one, and when it rises too; what has left is not touched")
    func rateChanges() {
        var link = LinkConfiguration(rate: 8e6, delay: .milliseconds(5))
        link.rateChanges = [
            RateChange(after: .microseconds(2500), to: 4e6), RateChange(after: .microseconds(5500), to: 16e6),
        ]
        let wire = Wire(link)
        for number in 0..<6 { wire.send(number) }
        wire.simulation.runUntilIdle()
        // Two leave after 1 and 2 ms; the third, of which half is left, after 3.5, the fourth after 5.5; then two a
        // millisecond.
        #expect(
            wire.arrivals.map(\.time) == [6000, 7000, 8500, 10_500, 11_000, 11_500].map { .microseconds($0) })
        #expect(wire.arrivals.map(\.number) == Array(0..<6))
    }

    @Test("A change of rate leaves the order that jitter kept, and copies and late packets where they belong")
    func rateChangeOrder() {
        var link = LinkConfiguration(rate: 8e6, delay: .milliseconds(20))
        link.jitter = .milliseconds(10)
        link.rateChanges = [
            RateChange(after: .milliseconds(20), to: 80e6), RateChange(after: .milliseconds(25), to: 1e6),
        ]
        let wire = Wire(link)
        wire.link.forward.faults.delaysPackets = [3: .seconds(5)]
        for number in 0..<100 { wire.send(number) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.map(\.number) == [0, 1] + Array(3..<100) + [2])
    }

    @Test("A packet that had left, and is late by a fault, arrives when it would have, whatever becomes of the rate")
    func rateChangeLate() {
        var link = LinkConfiguration(rate: 8e6, delay: .zero)
        link.rateChanges = [RateChange(after: .milliseconds(20), to: 1e6)]
        let wire = Wire(link)
        wire.link.forward.faults.delaysPackets = [1: .milliseconds(50)]
        for number in 0..<100 { wire.send(number) }
        wire.simulation.runUntilIdle()
        #expect(wire.arrivals.first { $0.number == 0 }?.time == .milliseconds(51))
        // 80 packets were left, of 8 ms each.
        #expect(wire.arrivals.last?.time == .milliseconds(20 + 640))
    }

    @Test("A host that was told \"not now\" goes on when the rate rises, not when it would have at the old one")
    func rateRisesForWaiting() throws {
        var link = LinkConfiguration(rate: 80e3, delay: .milliseconds(1), queue: 3000)
        link.whenFull = .waits
        link.rateChanges = [RateChange(after: .milliseconds(500), to: 80e6)]
        let pair = Pair(tracing: false, link: link)
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 20_000), receiver)
        pair.simulation.run(for: .seconds(1))
        // At 80 kbit/s it would have taken two seconds.
        #expect(receiver.received == 20_000 && receiver.isIntact)
    }
}
