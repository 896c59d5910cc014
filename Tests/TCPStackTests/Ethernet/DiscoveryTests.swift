import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Neighbors' solicitations and advertisements (RFC 4861 §7).
@Suite("Neighbor discovery")
struct DiscoveryTests {
    private let own = ip("fd00::1")
    private let peer = ip("fd00::9")

    private func host(_ configuration: EthernetConfiguration = .quick) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        let host = segment.add(configuration)
        segment.give(host, "fd00::1/64")
        segment.run(.seconds(5))
        _ = segment.take()
        return (segment, host)
    }

    private func solicitation(from source: IPAddress? = nil, link: Bool = true, target: IPAddress? = nil)
        -> DiscoveryFrame
    {
        DiscoveryFrame(
            type: 135, source: source ?? peer, destination: own.solicitedNode, hardware: mac(9),
            body: big32(0) + octets(target ?? own) + (link ? linkOption(1, mac(9)) : []))
    }

    private func answer(
        flags: UInt32, link: MACAddress? = mac(9), to destination: IPAddress? = nil, from hardware: MACAddress = mac(9)
    ) -> DiscoveryFrame {
        DiscoveryFrame(
            type: 136, source: peer, destination: destination ?? own, hardware: hardware,
            frameTo: destination == nil ? mac(1) : nil,
            body: big32(flags) + octets(peer) + (link.map { linkOption(2, $0) } ?? []))
    }

    private static let solicited: UInt32 = 1 << 30
    private static let override: UInt32 = 1 << 29
    private static let router: UInt32 = 1 << 31

    @Test(
        "A solicitation goes to the solicited-node group, with this host's address; the packet follows the answer [4861-7]"
    )
    func resolves() throws {
        let segment = EthernetSegment()
        let first = segment.add()
        let second = segment.add()
        segment.give(first, "fd00::1/64")
        segment.give(second, "fd00::9/64")
        segment.run(.seconds(5))
        _ = segment.take()
        _ = try second.stack.listen(on: 80, at: segment.now)
        let id = try first.stack.connect(to: Endpoint(peer, 80), at: segment.now)
        segment.settle()
        #expect(first.stack.status(of: id)?.state == .established)
        let frames = segment.take()
        let question = try #require(frames[0].discovery)
        #expect(question.kind == .neighborSolicitation && question.target == peer && question.source == own)
        #expect(question.destination == ip("ff02::1:ff00:9") && question.sourceLink == mac(1) && question.nonce == nil)
        #expect(frames[0].destination == MACAddress("33:33:ff:00:00:09"))
        let reply = try #require(frames[1].discovery)
        #expect(reply.kind == .neighborAdvertisement && reply.isSolicited && reply.overrides && !reply.isRouter)
        #expect(reply.source == peer && reply.destination == own && reply.target == peer && reply.targetLink == mac(2))
        #expect(frames[1].destination == mac(1))
        #expect(frames[2].isTCP && frames[2].destination == mac(2))
        #expect(first.neighbor(peer)?.state == .reachable)
    }

    @Test(
        "Three solicitations, one second apart, then the packets are dropped and their connections told [4861-7, 4861-12]"
    )
    func givesUp() throws {
        let (segment, host) = host()
        let start = segment.now
        let id = try host.stack.connect(to: Endpoint(peer, 80), at: segment.now)
        segment.run(.milliseconds(2_999))
        let times = segment.take().filter { $0.discovery != nil }.map { ($0.time - start).nanoseconds / 1_000_000 }
        #expect(times == [0, 1000, 2000])
        segment.run(.milliseconds(2))
        #expect(host.link.counters.neighborsFailed == 1 && host.link.counters.packetsUnreachable >= 1)
        #expect(host.events.contains(.connection(id, .troubled)))
    }

    @Test("Only solicitations for an address that is this host's own are answered [4861-6]")
    func answers() throws {
        let (segment, host) = host()
        segment.inject(solicitation(target: ip("fd00::2")).frame())
        #expect(segment.take().count == 1 && host.link.counters[.discoveryTarget] == 1)
        segment.inject(solicitation().frame())
        let reply = try #require(segment.take().last)
        #expect(reply.destination == mac(9) && reply.discovery?.isSolicited == true)
        #expect(host.neighbor(peer)?.state == .delay && host.neighbor(peer)?.hardware == mac(9))
        // Who asks whether the address is free is told by way of everybody.
        segment.inject(solicitation(from: .unspecifiedIPv6, link: false).frame())
        let told = try #require(segment.take().last?.discovery)
        #expect(told.destination == .allNodes && !told.isSolicited && told.overrides && told.targetLink == mac(1))
        #expect(host.link.neighbors.count == 1)
    }

    @Test("Who asks without saying where it is is asked in turn, before it is answered [4861-6]")
    func asksBack() throws {
        let (segment, _) = host()
        segment.inject(solicitation(link: false).frame())
        let frames = segment.take().dropFirst()
        #expect(frames.count == 1 && frames.first?.discovery?.target == peer)
        segment.inject(answer(flags: DiscoveryTests.solicited | DiscoveryTests.override).frame())
        let reply = try #require(segment.take().last)
        #expect(reply.destination == mac(9) && reply.discovery?.kind == .neighborAdvertisement)
    }

    @Test(
        "Every message has hop limit 255, code 0, a right checksum, whole options, and no fragment header [4861-1, 4861-2, 6980-1]",
        arguments: [135, 136, 134, 137] as [UInt8])
    func validation(type: UInt8) {
        var configuration = EthernetConfiguration.automatic
        configuration.initialDelay = .zero
        let (segment, host) = host(configuration)
        let good: DiscoveryFrame =
            switch type {
            case 135: solicitation()
            case 136: answer(flags: DiscoveryTests.solicited | DiscoveryTests.override)
            case 134: advertisement(router: 9)
            default:
                DiscoveryFrame(
                    type: 137, source: routerAddress(9), destination: own, hardware: mac(9), frameTo: mac(1),
                    body: big32(0) + octets(peer) + octets(peer))
            }
        func expect(_ fault: EthernetFault, _ change: (inout DiscoveryFrame) -> Void) {
            var frame = good
            change(&frame)
            let before = host.link.counters[fault]
            segment.inject(frame.frame())
            #expect(host.link.counters[fault] == before + 1, "\(type): \(fault)")
        }
        let received = host.link.counters.discoveryReceived
        for limit: UInt8 in [254, 64, 1] { expect(.discoveryHopLimit) { $0.hopLimit = limit } }
        expect(.discoveryChecksum) { $0.hasValidChecksum = false }
        expect(.discoveryFormat) { $0.code = 1 }
        expect(.discoveryFormat) { $0.body.removeLast($0.body.count - 3) }
        expect(.discoveryOption) { $0.body += [200, 0, 0, 0, 0, 0, 0, 0] }
        expect(.discoveryOption) { $0.body += [200, 2, 0, 0, 0, 0, 0, 0] }
        expect(.discoveryOption) { $0.body += [200, 1, 0, 0] }
        expect(.discoveryOption) { $0.body += linkOption(1, .broadcast) }
        expect(.discoveryFragment) {
            $0.headers = [58, 0, 0, 0, 1, 2, 3, 4]; $0.firstHeader = 44
        }
        #expect(host.link.counters.discoveryReceived == received)
        #expect(host.link.neighbors.isEmpty && host.link.defaultRouters.isEmpty)
        // An option that is not known is passed over.
        var other = good
        other.body += [200, 1, 0, 0, 0, 0, 0, 0]
        segment.inject(other.frame())
        #expect(host.link.counters.discoveryReceived == received + 1)
    }

    @Test(
        "Addresses a message may not have: targets that are groups, nameless senders, routers from afar [4861-3, 4861-4, 4861-5]"
    )
    func addresses() {
        var configuration = EthernetConfiguration.automatic
        configuration.initialDelay = .zero
        let (segment, host) = host(configuration)
        func expect(_ fault: EthernetFault, _ frame: DiscoveryFrame) {
            let before = host.link.counters[fault]
            segment.inject(frame.frame())
            #expect(host.link.counters[fault] == before + 1, "\(frame)")
        }
        expect(.discoveryTarget, solicitation(target: ip("ff02::1")))
        // Without a source: to the solicited-node group only, and without an option.
        expect(.discoveryAddress, solicitation(from: .unspecifiedIPv6, link: true))
        var frame = solicitation(from: .unspecifiedIPv6, link: false)
        frame.destination = own
        frame.frameTo = mac(1)
        expect(.discoveryAddress, frame)
        frame.destination = .allNodes
        frame.frameTo = nil
        expect(.discoveryAddress, frame)
        expect(.discoveryAddress, answer(flags: DiscoveryTests.solicited, to: .allNodes))
        frame = answer(flags: 0)
        frame.body.replaceSubrange(4..<20, with: octets(ip("ff02::9")))
        expect(.discoveryTarget, frame)
        frame = advertisement(router: 9)
        frame.source = ip("fd00::99")
        expect(.discoveryAddress, frame)
        frame = DiscoveryFrame(
            type: 137, source: ip("fd00::99"), destination: own, hardware: mac(9), frameTo: mac(1),
            body: big32(0) + octets(peer) + octets(peer))
        expect(.discoveryAddress, frame)
        frame.source = routerAddress(9)
        frame.body = big32(0) + octets(ip("fe80::5")) + octets(ip("ff0e::1"))
        expect(.discoveryTarget, frame)
        frame.body = big32(0) + octets(ip("fd00::5")) + octets(peer)
        expect(.discoveryTarget, frame)
        #expect(host.link.neighbors.isEmpty)
    }

    @Test("A router's solicitation is for routers: hosts drop it [4861-20]")
    func routerSolicitation() {
        let (segment, host) = host()
        segment.inject(
            DiscoveryFrame(
                type: 133, source: peer, destination: .allNodes, hardware: mac(9),
                body: big32(0) + linkOption(1, mac(9))
            ).frame())
        #expect(host.link.counters[.routerMessage] == 1 && host.link.neighbors.isEmpty)
    }

    @Test("An advertisement of a neighbor nobody asked for makes no entry [4861-8]")
    func unasked() {
        let (segment, host) = host()
        segment.inject(answer(flags: DiscoveryTests.solicited | DiscoveryTests.override).frame())
        segment.inject(answer(flags: DiscoveryTests.override, to: .allNodes).frame())
        #expect(host.link.counters[.unknownNeighbor] == 2 && host.link.neighbors.isEmpty)
    }

    /// RFC 4861 appendix C, the rows for a received advertisement: state before, S, O, which address, state after, and
    /// whose address is kept.
    private static let table: [(NeighborState, Bool, Bool, Int?, NeighborState, Int)] = [
        // Incomplete: any O; an address must be there.
        (.incomplete, false, false, 9, .stale, 9), (.incomplete, true, false, 9, .reachable, 9),
        (.incomplete, false, true, 9, .stale, 9), (.incomplete, true, true, 9, .reachable, 9),
        (.incomplete, true, true, nil, .incomplete, 0),
        // The same address, or none.
        (.reachable, true, false, 9, .reachable, 9), (.reachable, false, false, 9, .reachable, 9),
        (.stale, true, false, 9, .reachable, 9), (.stale, false, false, 9, .stale, 9),
        (.stale, true, false, nil, .reachable, 9), (.stale, false, true, nil, .stale, 9),
        (.delay, true, true, 9, .reachable, 9), (.delay, false, true, 9, .delay, 9),
        (.probe, true, false, 9, .reachable, 9), (.probe, false, false, 9, .probe, 9),
        // Another address without override: what is known stays, but is in doubt.
        (.reachable, true, false, 8, .stale, 9), (.reachable, false, false, 8, .stale, 9),
        (.stale, true, false, 8, .stale, 9), (.delay, true, false, 8, .delay, 9), (.probe, true, false, 8, .probe, 9),
        // Another address with override.
        (.reachable, true, true, 8, .reachable, 8), (.reachable, false, true, 8, .stale, 8),
        (.stale, true, true, 8, .reachable, 8), (.stale, false, true, 8, .stale, 8),
        (.delay, true, true, 8, .reachable, 8), (.delay, false, true, 8, .stale, 8),
        (.probe, true, true, 8, .reachable, 8), (.probe, false, true, 8, .stale, 8),
    ]

    @Test("The table of override and solicited flags [4861-8]", arguments: table.indices)
    func advertisements(row: Int) throws {
        let (before, isSolicited, overrides, link, after, kept) = DiscoveryTests.table[row]
        let (segment, host) = host()
        try bring(host, to: before, segment)
        let flags = (isSolicited ? DiscoveryTests.solicited : 0) | (overrides ? DiscoveryTests.override : 0)
        segment.inject(answer(flags: flags, link: link.map(mac)).frame())
        // What waited has left, and what is stale and was sent to is in delay.
        let expected = before == .incomplete && after == .stale ? .delay : after
        #expect(host.neighbor(peer)?.state == expected)
        #expect(host.neighbor(peer)?.hardware == (kept == 0 ? nil : mac(kept)))
    }

    private func bring(_ host: EthernetHost, to state: NeighborState, _ segment: EthernetSegment) throws {
        if state == .incomplete {
            _ = try host.stack.connect(to: Endpoint(peer, 80), at: segment.now)
            segment.settle()
        } else if state == .stale {
            // A solicitation brings it in, and is answered: without the link's room it stays stale.
            segment.inject(
                DiscoveryFrame(
                    type: 135, source: peer, destination: own.solicitedNode, hardware: mac(9),
                    body: big32(0) + octets(own) + linkOption(1, mac(9))
                ).frame())
            segment.inject(answer(flags: DiscoveryTests.solicited, link: mac(9)).frame())
            segment.run(.seconds(46))
        } else {
            segment.inject(solicitation().frame())
            if state == .reachable { segment.inject(answer(flags: DiscoveryTests.solicited, link: mac(9)).frame()) }
            if state == .probe { segment.run(.milliseconds(5_500)) }
        }
        #expect(host.neighbor(peer)?.state == state)
    }

    @Test("A neighbor that says it has moved is believed, and asked [4861-13]")
    func moves() {
        let (segment, host) = host()
        segment.inject(solicitation().frame())
        segment.inject(answer(flags: DiscoveryTests.solicited, link: mac(9)).frame())
        #expect(host.neighbor(peer)?.state == .reachable)
        // The same word again changes nothing.
        segment.inject(solicitation().frame())
        #expect(host.neighbor(peer)?.state == .reachable)
        var moved = solicitation()
        moved.hardware = mac(8)
        moved.body.replaceSubrange(20..., with: linkOption(1, mac(8)))
        segment.inject(moved.frame())
        #expect(host.neighbor(peer)?.hardware == mac(8) && host.neighbor(peer)?.state == .delay)
    }

    @Test("While a neighbor is probed packets go on to it; the probes go to it alone [4861-9]")
    func probes() {
        let (segment, host) = host()
        segment.inject(solicitation().frame())
        let start = segment.now
        _ = segment.take()
        segment.run(.milliseconds(7_500))
        let probes = segment.take()
        #expect(probes.map { ($0.time - start).nanoseconds / 1_000_000 } == [5000, 6000, 7000])
        #expect(
            probes.allSatisfy {
                $0.destination == mac(9) && $0.discovery?.destination == peer && $0.discovery?.sourceLink == mac(1)
            })
        segment.run(.milliseconds(600))
        #expect(host.link.neighbors.isEmpty)
    }
}
