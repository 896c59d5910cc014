import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Finding a neighbor's address by ARP (RFC 826, RFC 1122 §2.3.2).
@Suite("ARP")
struct ResolutionTests {
    private func pair(_ configuration: EthernetConfiguration = .quick) -> (EthernetSegment, EthernetHost, EthernetHost)
    {
        let segment = EthernetSegment()
        let first = segment.add(configuration)
        let second = segment.add(configuration)
        segment.give(first, "10.0.0.1/24")
        segment.give(second, "10.0.0.2/24")
        segment.run(.seconds(5))
        _ = segment.take()
        return (segment, first, second)
    }

    private func lone(_ configuration: EthernetConfiguration = .quick) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        let host = segment.add(configuration)
        segment.give(host, "10.0.0.1/24")
        segment.run(.seconds(5))
        _ = segment.take()
        return (segment, host)
    }

    private func open(_ host: EthernetHost, _ address: String, at now: Instant) throws -> ConnectionID {
        try host.stack.connect(to: Endpoint(ip(address), 80), at: now)
    }

    @Test("A packet to a neighbor that is not known waits, and leaves when the neighbor has answered [1122-1, 826-1]")
    func opens() throws {
        let (segment, first, second) = pair()
        // Who announced itself is not known to those who did not ask.
        #expect(first.link.neighbors.isEmpty)
        _ = try second.stack.listen(on: 80, at: segment.now)
        let id = try open(first, "10.0.0.2", at: segment.now)
        segment.settle()
        #expect(first.stack.status(of: id)?.state == .established)
        let frames = segment.take()
        let request = try #require(frames.first?.arp)
        #expect(frames[0].destination == .broadcast && frames[0].source == mac(1))
        #expect(
            request
                == ARPPacket(.request, senderHardware: mac(1), sender: ip("10.0.0.1"), target: ip("10.0.0.2")))
        #expect(frames[1].destination == mac(1) && frames[1].arp?.operation == .reply)
        #expect(frames[2].isTCP && frames[2].destination == mac(2) && frames[2].source == mac(1))
        // The asked one noted the asker: it needs no request of its own.
        #expect(frames.filter { $0.arp?.operation == .request }.count == 1)
        #expect(first.neighbor(ip("10.0.0.2"))?.state == .reachable)
        #expect(first.link.counters.packetsDeferred == 1)
    }

    @Test("Only the owner answers, and only while the address is its own [826-2]")
    func answers() {
        let (segment, host) = lone()
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.3")))
        #expect(segment.take().count == 1)
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        let reply = segment.take().last as LoggedFrame?
        #expect(reply?.destination == mac(9))
        #expect(
            reply?.arp
                == ARPPacket(
                    .reply, senderHardware: mac(1), sender: ip("10.0.0.1"), targetHardware: mac(9),
                    target: ip("10.0.0.9")))
        host.link.removeAddress(ip("10.0.0.1"), from: &host.stack, at: segment.now)
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        #expect(segment.take().count == 1)
    }

    @Test("A known sender is merged whatever it wants; another is added only if it wants this host [826-3]")
    func mergeThenAdd() {
        let (segment, host) = lone()
        // Neither a request for another host nor an announcement makes an entry.
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.3")))
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.9")))
        segment.inject(arpFrame(2, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.9")))
        #expect(host.link.neighbors.isEmpty)
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        #expect(host.neighbor(ip("10.0.0.9"))?.hardware == mac(9))
        #expect(host.neighbor(ip("10.0.0.9"))?.state == .stale)
        // It moves to another interface and says so to nobody in particular.
        segment.inject(arpFrame(1, from: mac(10), ip("10.0.0.9"), to: ip("10.0.0.9")))
        #expect(host.neighbor(ip("10.0.0.9"))?.hardware == mac(10))
        segment.inject(arpFrame(2, from: mac(11), ip("10.0.0.9"), to: ip("10.0.0.3")))
        #expect(host.neighbor(ip("10.0.0.9"))?.hardware == mac(11))
    }

    @Test("A reply nobody asked for does not make a neighbor, nor reachable [826-4]")
    func unasked() {
        let (segment, host) = lone()
        segment.inject(
            arpFrame(2, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)))
        #expect(host.neighbor(ip("10.0.0.9"))?.state != .reachable)
        segment.inject(
            arpFrame(2, from: mac(8), ip("10.0.0.9"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)))
        #expect(host.neighbor(ip("10.0.0.9"))?.state != .reachable)
    }

    @Test(
        "Requests come once a second at most, back off, and end: what waited is dropped, its connection told [1122-2, 1122-3]"
    )
    func givesUp() throws {
        let (segment, host) = lone()
        let start = segment.now
        let id = try open(host, "10.0.0.7", at: segment.now)
        segment.run(.milliseconds(6_900))
        let times = segment.take().filter { $0.arp != nil }.map { ($0.time - start).nanoseconds / 1_000_000 }
        #expect(times == [0, 1000, 3000])
        #expect(host.link.counters.neighborsFailed == 0)
        host.events = []
        segment.run(.milliseconds(101))
        #expect(host.link.counters.neighborsFailed == 1)
        // The SYN, and what the connection had sent again since.
        #expect(host.link.counters.packetsUnreachable >= 1)
        #expect(!host.link.neighbors.contains { $0.state != .incomplete })
        #expect(host.events.contains(.connection(id, .troubled)))
        #expect(host.stack.status(of: id)?.state == .synSent)
    }

    @Test("At least one packet waits for a neighbor, the latest ones; the oldest past the limit are dropped [1122-1]")
    func waits() throws {
        var configuration = EthernetConfiguration.quick
        configuration.waitingPackets = 2
        let (segment, host) = lone(configuration)
        var ids: [ConnectionID] = []
        for port: UInt16 in 1...5 {
            ids.append(try host.stack.connect(to: Endpoint(ip("10.0.0.7"), port), at: segment.now))
        }
        segment.settle()
        #expect(host.neighbor(ip("10.0.0.7"))?.waitingPackets == 2)
        #expect(host.link.counters.packetsOverflowed == 3)
        _ = segment.take()
        segment.inject(
            arpFrame(2, from: mac(7), ip("10.0.0.7"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)))
        let ports = segment.take().filter(\.isTCP).map { $0.body.span.bytes.be16(22) }
        #expect(ports == [4, 5])
        #expect(host.stack.memory.neighbors > 0)
    }

    @Test("A neighbor that was not heard of is used, then asked directly, three times, then forgotten [1122-4, 4861-9]")
    func ages() throws {
        let (segment, host) = lone()
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        _ = segment.take()
        let start = segment.now
        _ = try open(host, "10.0.0.9", at: segment.now)
        segment.settle()
        // What is known is used at once.
        #expect(segment.frames.first?.isTCP == true && segment.frames.first?.destination == mac(9))
        #expect(host.neighbor(ip("10.0.0.9"))?.state == .delay)
        segment.run(.milliseconds(7_900))
        let probes = segment.take().filter { $0.arp != nil }
        #expect(probes.map { ($0.time - start).nanoseconds / 1_000_000 } == [5000, 6000, 7000])
        #expect(probes.allSatisfy { $0.destination == mac(9) && $0.arp?.operation == .request })
        #expect(host.neighbor(ip("10.0.0.9"))?.state == .probe)
        segment.run(.milliseconds(200))
        #expect(host.neighbor(ip("10.0.0.9")) == nil)
        #expect(host.link.counters.neighborsFailed == 1)
    }

    @Test("An answer to a probe makes the neighbor reachable, for half to one and a half times half a minute [4861-10]")
    func confirms() throws {
        let (segment, host) = lone()
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        _ = try open(host, "10.0.0.9", at: segment.now)
        segment.run(.milliseconds(5_100))
        segment.inject(
            arpFrame(2, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)))
        #expect(host.neighbor(ip("10.0.0.9"))?.state == .reachable)
        segment.run(.milliseconds(14_000))
        #expect(host.neighbor(ip("10.0.0.9"))?.state == .reachable)
        segment.run(.seconds(31))
        #expect(host.neighbor(ip("10.0.0.9"))?.state != .reachable)
    }

    @Test("While TCP moves forward no neighbor is probed [4861-11]")
    func forwardProgress() throws {
        let (segment, first, second) = pair()
        let listener = try second.stack.listen(on: 80, at: segment.now)
        let id = try open(first, "10.0.0.2", at: segment.now)
        segment.settle()
        let accepted = second.stack.accept(listener)
        let other = try #require(accepted)
        _ = segment.take()
        var octets = [UInt8](repeating: 7, count: 10)
        for _ in 0..<60 {
            _ = try first.stack.write(id, octets.span.bytes, at: segment.now)
            segment.run(.seconds(2))
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            _ = try second.stack.read(other, into: &bytes, at: segment.now)
        }
        let frames = segment.take()
        // The one that sends hears of it by acknowledgments; the other, that only acknowledges, must ask.
        #expect(!frames.contains { $0.arp?.operation == .request && $0.sender == 0 })
        #expect(frames.contains { $0.arp?.operation == .request && $0.sender == 1 })
        #expect(frames.filter(\.isTCP).count >= 60)
    }

    @Test("What goes off the link goes to the gateway, what has no route is dropped and told")
    func gateway() throws {
        let (segment, host) = lone()
        #expect(throws: OpenError.noRoute) { _ = try open(host, "192.0.2.1", at: segment.now) }
        let route = Route(AddressPrefix(ip("0.0.0.0"), length: 0), via: ip("10.0.0.254"))
        host.stack.addRoute(route)
        let id = try open(host, "192.0.2.1", at: segment.now)
        host.stack.removeRoute(route)
        segment.settle()
        #expect(host.link.counters.packetsWithoutRoute == 1)
        #expect(host.events.contains(.connection(id, .troubled)))
        host.stack.addRoute(route)
        segment.run(.seconds(2))
        let requests = segment.take().compactMap(\.arp)
        #expect(!requests.isEmpty && requests.allSatisfy { $0.target == ip("10.0.0.254") })
        segment.inject(
            arpFrame(
                2, from: mac(254), ip("10.0.0.254"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)))
        let sent = segment.take().filter(\.isTCP)
        #expect(!sent.isEmpty && sent.allSatisfy { $0.destination == mac(254) })
    }

    @Test("A packet to this host itself does not leave it [1122-5]")
    func loops() throws {
        let (segment, host) = lone()
        let listener = try host.stack.listen(on: 80, at: segment.now)
        let id = try open(host, "10.0.0.1", at: segment.now)
        segment.settle()
        #expect(host.stack.status(of: id)?.state == .established)
        let accepted = host.stack.accept(listener)
        #expect(accepted != nil)
        #expect(segment.frames.isEmpty && host.link.counters.packetsLooped >= 3)
    }
}
