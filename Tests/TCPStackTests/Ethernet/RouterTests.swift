import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Routers: which is taken, what of theirs is heeded, what they redirect (RFC 4861 §6.3, §8).
@Suite("Routers")
struct RouterTests {
    private func host(
        _ stack: Configuration = Configuration(), _ change: (inout EthernetConfiguration) -> Void = { _ in }
    ) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        var configuration = EthernetConfiguration.automatic
        change(&configuration)
        let host = segment.add(configuration, stack: stack)
        segment.run(.seconds(20))
        _ = segment.take()
        return (segment, host)
    }

    private let far = ip("2001:db8:ffff::1")

    private func hop(_ host: EthernetHost) -> IPAddress? { host.stack.nextHop(to: far) }

    @Test("A router is one as long as it says; a lifetime of zero ends it [4861-15, 4861-16]")
    func lifetime() {
        let (segment, host) = host()
        #expect(hop(host) == nil)
        segment.inject(advertisement(router: 7).frame())
        #expect(hop(host) == routerAddress(7) && host.neighbor(routerAddress(7))?.isRouter == true)
        segment.inject(advertisement(router: 7, lifetime: 0).frame())
        #expect(hop(host) == nil && host.link.defaultRouters.isEmpty)
    }

    @Test("The router that wants most to be taken is; the one in use stays while none wants more [4191-1]")
    func preference() {
        let (segment, host) = host()
        for (number, flags, expected) in [(7, 0, 7), (8, 0, 7), (9, 0x18, 7), (10, 0x08, 10), (10, 0x18, 7)] {
            segment.inject(advertisement(router: number, flags: UInt8(flags)).frame())
            #expect(hop(host) == routerAddress(expected), "\(number) \(flags)")
        }
        // The reserved value is medium.
        segment.inject(advertisement(router: 9, flags: 0x10).frame())
        #expect(host.link.defaultRouters.first { $0.address == routerAddress(9) }?.preference == 0)
    }

    @Test("A router that does not answer is left for another, and taken again when it shows itself [4861-17]")
    func unreachable() throws {
        let (segment, host) = host()
        segment.inject(advertisement(router: 7, options: prefixOption("2001:db8::/64", onLink: false)).frame())
        segment.inject(advertisement(router: 8).frame())
        segment.run(.seconds(3))
        _ = try host.stack.connect(to: Endpoint(far, 80), at: segment.now)
        segment.run(.milliseconds(7_900))
        #expect(hop(host) == routerAddress(7))
        segment.run(.milliseconds(200))
        #expect(hop(host) == routerAddress(8))
        // When all are silent, one after the other is tried.
        segment.run(.seconds(20)) { hop(host) == routerAddress(7) }
        #expect(hop(host) == routerAddress(7))
        segment.inject(advertisement(router: 8).frame())
        #expect(hop(host) == routerAddress(8))
    }

    @Test("A router that says it is none is none [4861-19]")
    func noRouter() {
        let (segment, host) = host()
        segment.inject(advertisement(router: 7).frame())
        segment.inject(
            DiscoveryFrame(
                type: 136, source: routerAddress(7), destination: .allNodes, hardware: mac(7),
                body: big32(1 << 29) + octets(routerAddress(7)) + linkOption(2, mac(7))
            ).frame())
        #expect(hop(host) == nil && host.neighbor(routerAddress(7))?.isRouter == false)
    }

    @Test("Hop limit, MTU and timers of a router are taken, within bounds [4861-21]")
    func parameters() throws {
        let (segment, host) = host()
        func mtu(_ value: UInt32) -> [UInt8] { [5, 1, 0, 0] + big32(value) }
        func syn() throws -> (hopLimit: UInt8, mss: UInt16) {
            _ = segment.take()
            _ = try host.stack.connect(to: Endpoint(far, 80), at: segment.now)
            segment.settle()
            let frame = try #require(segment.take().first { $0.isTCP })
            return (frame.body[7], try #require(Segment(frame.body, at: frame.time)?.tcp.options.maximumSegmentSize))
        }
        segment.inject(
            advertisement(router: 7, hopLimit: 33, options: prefixOption("2001:db8::/64") + mtu(1400)).frame())
        segment.run(.seconds(3))
        #expect(try syn() == (33, 1340))
        // Zero says nothing; less than IPv6 needs, or more than the link takes, is not believed.
        for value: UInt32 in [0, 1279, 1501, 9000, .max] {
            segment.inject(advertisement(router: 7, hopLimit: 0, options: mtu(value)).frame())
            #expect(try syn() == (33, 1340))
        }
        segment.inject(advertisement(router: 7, hopLimit: 255, options: mtu(1500)).frame())
        #expect(try syn() == (255, 1440))
        // RetransTimer.
        segment.inject(advertisement(router: 7, retransmission: 300).frame())
        _ = segment.take()
        _ = try host.stack.connect(to: Endpoint(ip("2001:db8::99"), 80), at: segment.now)
        segment.run(.seconds(3))
        let times = segment.take().filter { $0.discovery?.target == ip("2001:db8::99") }.map(\.time)
        #expect(times.count == 3 || times.count == 6)
        #expect(times[1] - times[0] == .milliseconds(300))
    }

    @Test("How long neighbors count as reachable is the router's to say [4861-21]")
    func reachableTime() throws {
        let (segment, host) = host()
        segment.inject(advertisement(router: 7, reachable: 4000).frame())
        segment.inject(
            DiscoveryFrame(
                type: 136, source: routerAddress(7), destination: host.link.addresses[0].prefix.address,
                hardware: mac(7),
                frameTo: mac(1), body: big32(3 << 29 | 1 << 31) + octets(routerAddress(7)) + linkOption(2, mac(7))
            ).frame())
        #expect(host.neighbor(routerAddress(7))?.state == .reachable)
        segment.run(.milliseconds(1_999))
        #expect(host.neighbor(routerAddress(7))?.state == .reachable)
        segment.run(.milliseconds(4_002))
        #expect(host.neighbor(routerAddress(7))?.state == .stale)
    }

    @Test("Without autoconfiguration no router is heeded")
    func unheeded() {
        let (segment, host) = host { $0.autoconfigures = false }
        segment.give(host, "fd00::1/64")
        segment.run(.seconds(3))
        segment.inject(advertisement(router: 7, options: prefixOption("2001:db8::/64")).frame())
        segment.run(.seconds(3))
        #expect(host.link.counters[.routerMessage] == 1 && host.link.defaultRouters.isEmpty && hop(host) == nil)
        #expect(!segment.take().contains { $0.discovery?.kind == .routerSolicitation })
    }

    private func redirect(_ destination: IPAddress, to target: IPAddress, from number: Int = 7, link: Int? = 20)
        -> [UInt8]
    {
        DiscoveryFrame(
            type: 137, source: routerAddress(number), destination: ip("2001:db8::1"), hardware: mac(number),
            frameTo: mac(1),
            body: big32(0) + octets(target) + octets(destination) + (link.map { linkOption(2, mac($0)) } ?? [])
        ).frame()
    }

    @Test(
        "A redirect of the first hop is obeyed, anybody else's is not; it ends when the new hop is silent [4861-5, 4861-22]"
    )
    func redirects() throws {
        let (segment, host) = host()
        segment.inject(advertisement(router: 7, options: prefixOption("2001:db8::/64", onLink: false)).frame())
        segment.run(.seconds(3))
        segment.inject(redirect(far, to: routerAddress(20), from: 8))
        #expect(host.link.counters[.redirectRefused] == 1)
        segment.inject(redirect(far, to: routerAddress(20)))
        #expect(host.link.counters.redirectsObeyed == 1 && host.neighbor(routerAddress(20))?.isRouter == true)
        _ = segment.take()
        _ = try host.stack.connect(to: Endpoint(far, 80), at: segment.now)
        _ = try host.stack.connect(to: Endpoint(ip("2001:db8:ffff::2"), 80), at: segment.now)
        segment.settle()
        #expect(segment.take().filter(\.isTCP).map(\.destination) == [mac(20), mac(7)])
        // The old first hop has no say any more.
        segment.inject(redirect(far, to: routerAddress(21)))
        #expect(host.link.counters[.redirectRefused] == 2)
        segment.run(.seconds(9))
        _ = segment.take()
        segment.run(.seconds(10))
        #expect(!segment.take().contains { $0.isTCP && $0.destination == mac(20) })
        // A destination that is a neighbor after all.
        segment.inject(redirect(ip("2001:db8:ffff::3"), to: ip("2001:db8:ffff::3"), link: 30))
        _ = try host.stack.connect(to: Endpoint(ip("2001:db8:ffff::3"), 80), at: segment.now)
        segment.settle()
        #expect(segment.take().contains { $0.isTCP && $0.destination == mac(30) })
    }

    @Test("Redirects are kept within a limit, or none is obeyed")
    func redirectLimit() {
        for limit in [0, 3] {
            let (segment, host) = host { $0.redirects = limit }
            segment.inject(advertisement(router: 7).frame())
            for number in 1...50 {
                segment.inject(
                    redirect(IPAddress(high: 0x2001_0DB8_FFFF_0000, low: UInt64(number)), to: routerAddress(20)))
            }
            #expect(host.link.counters.redirectsObeyed == (limit == 0 ? 0 : 50))
            #expect(host.link.counters[.routerMessage] == (limit == 0 ? 50 : 0))
        }
    }
}
