import TCPEngine
import TCPStack
import TCPWire
import Testing

/// IPv6 addresses: whose they are (RFC 4862 §5.4), where they come from (RFC 4862 §5.3, §5.5, RFC 7217), when they end.
@Suite("IPv6 autoconfiguration")
struct AutoconfigurationTests {
    private func host(
        _ change: (inout EthernetConfiguration) -> Void = { _ in }
    ) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        var configuration = EthernetConfiguration.automatic
        change(&configuration)
        return (segment, segment.add(configuration))
    }

    /// A host with its link-local address, and nothing else.
    private func settled(
        _ change: (inout EthernetConfiguration) -> Void = { _ in }
    ) -> (EthernetSegment, EthernetHost) {
        let (segment, host) = host(change)
        segment.run(.seconds(20))
        _ = segment.take()
        return (segment, host)
    }

    private func made(_ host: EthernetHost, _ prefix: String) -> LinkAddressStatus? {
        let prefix = AddressPrefix(prefix)!
        return host.link.addresses.first { $0.origin == .autoconfigured && prefix.contains($0.prefix.address) }
    }

    @Test(
        "First a link-local address: its group is joined, then it is asked about, then used [4862-1, 4862-2, 3810-1, 3590-1]"
    )
    func linkLocal() throws {
        let (segment, host) = host()
        let start = segment.now
        segment.run(.milliseconds(1))
        let own = try #require(host.link.addresses.first)
        #expect(own.prefix.address.isLinkLocal && own.prefix.length == 64 && own.state == .tentative)
        segment.run(.seconds(2))
        let frames = segment.take()
        #expect((frames[0].time - start).nanoseconds <= 1_000_000_000)
        // The report, with a hop limit of one, a router alert, and no source yet.
        let report = frames[0].body
        #expect(frames[0].icmpv6 == 143 && frames[0].destination == MACAddress("33:33:00:00:00:16"))
        #expect(frames[0].ip?.destination == ip("ff02::16") && frames[0].ip?.source == .unspecifiedIPv6)
        #expect(frames[0].ip?.hopLimit == 1 && Array(report[40..<48]) == [58, 0, 5, 2, 0, 0, 1, 0])
        #expect(Array(report[52..<60]) == [0, 0, 0, 1, 4, 0, 0, 0])
        #expect(Array(report[60..<76]) == octets(own.prefix.address.solicitedNode) && report.count == 76)
        // The question.
        let question = try #require(frames[1].discovery)
        #expect(question.kind == .neighborSolicitation && question.source == .unspecifiedIPv6)
        #expect(question.destination == own.prefix.address.solicitedNode && question.target == own.prefix.address)
        #expect(question.sourceLink == nil && question.nonce != nil)
        #expect(frames[1].destination == MACAddress(group: own.prefix.address.solicitedNode))
        #expect(frames.filter { $0.discovery?.kind == .neighborSolicitation }.count == 1)
        // One second later it is the host's own, and routers are asked for.
        #expect(host.state(of: own.prefix.address) == .preferred)
        let asked = try #require(frames.first { $0.discovery?.kind == .routerSolicitation })
        #expect(asked.time - frames[1].time == .seconds(1))
        #expect(asked.discovery?.source == own.prefix.address && asked.discovery?.sourceLink == mac(1))
    }

    @Test("A tentative address is silent, and not usable [4862-3]")
    func tentative() throws {
        let (segment, host) = host {
            $0.autoconfigures = false; $0.initialDelay = .zero
        }
        segment.give(host, "fd00::1/64")
        segment.run(.milliseconds(500))
        _ = segment.take()
        #expect(host.state(of: ip("fd00::1")) == .tentative)
        segment.inject(
            DiscoveryFrame(
                type: 135, source: ip("fd00::9"), destination: ip("ff02::1:ff00:1"), hardware: mac(9),
                body: big32(0) + octets(ip("fd00::1")) + linkOption(1, mac(9))
            ).frame())
        #expect(segment.take().count == 1 && host.link.neighbors.isEmpty)
        #expect(host.state(of: ip("fd00::1")) == .tentative)
        #expect(throws: OpenError.noRoute) {
            _ = try host.stack.connect(to: Endpoint(ip("fd00::9"), 80), at: segment.now)
        }
        segment.run(.milliseconds(600))
        #expect(host.state(of: ip("fd00::1")) == .preferred)
        let told = try #require(segment.take().last { $0.discovery?.kind == .neighborAdvertisement }?.discovery)
        // RFC 9131: the routers learn of it.
        #expect(told.destination == .allRouters && !told.overrides && !told.isSolicited && told.targetLink == mac(1))
    }

    @Test(
        "An advertisement, or another's question, is a duplicate; its own question come back is none [4862-4, 7527-1, 9131-1]"
    )
    func duplicates() throws {
        for kind in 0..<3 {
            let (segment, host) = host {
                $0.autoconfigures = false; $0.initialDelay = .zero
            }
            segment.give(host, "fd00::1/64")
            segment.run(.milliseconds(200))
            let asked = try #require(
                segment.take().first { $0.discovery?.target == ip("fd00::1") })
            switch kind {
            case 0:
                segment.inject(
                    DiscoveryFrame(
                        type: 136, source: ip("fd00::1"), destination: .allNodes, hardware: mac(9),
                        body: big32(1 << 29) + octets(ip("fd00::1")) + linkOption(2, mac(9))
                    ).frame())
            case 1:
                segment.inject(
                    DiscoveryFrame(
                        type: 135, source: .unspecifiedIPv6, destination: ip("ff02::1:ff00:1"), hardware: mac(9),
                        body: big32(0) + octets(ip("fd00::1"))
                    ).frame())
            default: segment.inject(asked.octets)
            }
            segment.run(.seconds(3))
            #expect(host.state(of: ip("fd00::1")) == (kind == 2 ? .preferred : .duplicated))
            #expect(host.link.counters.addressConflicts == (kind == 2 ? 0 : 1))
            #expect((host.stack.nextHop(to: ip("fd00::9")) == nil) == (kind != 2))
        }
    }

    @Test("Of two hosts that want an address at once neither gets it; the first of two keeps it [4862-4]")
    func races() {
        let segment = EthernetSegment()
        var configuration = EthernetConfiguration.patient
        configuration.initialDelay = .zero
        let hosts = (0..<3).map { _ in segment.add(configuration) }
        for host in hosts.prefix(2) {
            host.link.addAddress(AddressPrefix("fd00::1/64")!, to: &host.stack, at: segment.now)
        }
        segment.run(.seconds(3))
        #expect(hosts[0].state(of: ip("fd00::1")) == .duplicated && hosts[1].state(of: ip("fd00::1")) == .duplicated)
        segment.give(hosts[0], "fd00::1/64")
        segment.run(.seconds(3))
        segment.give(hosts[2], "fd00::1/64")
        segment.run(.seconds(3))
        #expect(hosts[0].state(of: ip("fd00::1")) == .preferred && hosts[2].state(of: ip("fd00::1")) == .duplicated)
    }

    @Test("Another identifier is tried when one is another's, three times [7217-2]")
    func retries() throws {
        let (segment, host) = host()
        var tried: Set<IPAddress> = []
        for _ in 0..<4 {
            segment.run(.seconds(5)) { segment.frames.contains { $0.discovery?.kind == .neighborSolicitation } }
            let target = try #require(segment.take().last { $0.discovery != nil }?.discovery?.target)
            tried.insert(target)
            segment.inject(
                DiscoveryFrame(
                    type: 136, source: target, destination: .allNodes, hardware: mac(9),
                    body: big32(0) + octets(target) + linkOption(2, mac(9))
                ).frame())
            _ = segment.take()
        }
        #expect(tried.count == 4 && host.link.counters.addressConflicts == 4)
        segment.run(.seconds(60))
        #expect(host.link.addresses.map(\.state) == [.duplicated])
        #expect(!segment.take().contains { $0.discovery != nil })
        // RFC 4862 §5.4.5: it speaks no IPv6.
        segment.inject(advertisement(router: 7, options: prefixOption("2001:db8::/64")).frame())
        segment.run(.seconds(5))
        #expect(host.link.addresses.count == 1)
    }

    @Test(
        "Identifiers are the same as long as the secret is, other in other prefixes, and tell nothing of the interface [7217-1]"
    )
    func identifiers() throws {
        func addresses(_ kind: EthernetConfiguration.InterfaceIdentifiers, number: UInt32 = 0) -> [IPAddress] {
            let (segment, host) = settled {
                $0.interfaceIdentifiers = kind; $0.interfaceNumber = number
            }
            segment.inject(
                advertisement(router: 7, options: prefixOption("2001:db8::/64") + prefixOption("2001:db8:1::/64"))
                    .frame())
            segment.run(.seconds(3))
            return host.link.addresses.map(\.prefix.address)
        }
        let stable = addresses(.stable)
        #expect(stable.count == 3 && Set(stable.map(\.low)).count == 3)
        #expect(addresses(.stable) == stable && Set(addresses(.stable, number: 1)).isDisjoint(with: stable))
        #expect(!stable.contains { $0.low == mac(1).interfaceIdentifier })
        #expect(Set(addresses(.eui64).map(\.low)) == [0x0000_00FF_FE00_0001])
    }

    @Test("Routers are asked for three times, four seconds apart, until one answers [4861-14]")
    func solicitations() {
        for answered in [false, true] {
            let (segment, _) = host()
            segment.run(.seconds(3))
            if answered { segment.inject(advertisement(router: 7).frame()) }
            segment.run(.seconds(30))
            let times = segment.take().filter { $0.discovery?.kind == .routerSolicitation }.map(\.time)
            #expect(times.count == (answered ? 1 : 3))
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == .seconds(4) })
        }
    }

    @Test(
        "An address is made of a prefix of 64 bits with the flag; the prefix is on the link only by the other flag [4862-5, 4861-18, 5942-1]"
    )
    func prefixes() throws {
        let (segment, host) = settled()
        let options =
            prefixOption("2001:db8:0:1::/64", onLink: true, autonomous: false)
            + prefixOption("2001:db8:0:2::/64", onLink: false, autonomous: true)
            + prefixOption("2001:db8:0:3::/48", onLink: false, autonomous: true)
            + prefixOption("fe80::/64") + prefixOption("ff0e::/64")
            + prefixOption("2001:db8:0:4::/64", onLink: false, valid: 100, preferred: 101)
            + prefixOption("2001:db8:0:5::/64", valid: 0, preferred: 0)
        segment.inject(advertisement(router: 7, options: options).frame())
        segment.run(.seconds(3))
        #expect(host.link.addresses.filter { $0.origin == .autoconfigured }.count == 1)
        let address = try #require(made(host, "2001:db8:0:2::/64"))
        #expect(address.state == .preferred && address.prefix.length == 64)
        #expect(host.link.counters[.prefixRefused] == 4)
        #expect(host.stack.nextHop(to: ip("2001:db8:0:1::5")) == ip("2001:db8:0:1::5"))
        for other in ["2001:db8:0:2::5", "2001:db8:0:5::5", "2001:db8:9::1"] {
            #expect(host.stack.nextHop(to: ip(other)) == routerAddress(7))
        }
        #expect(host.stack.nextHop(to: ip("fe80::55")) == ip("fe80::55"))
    }

    @Test("Lifetimes end: first deprecated, then gone; the prefix and the router with theirs [4862-8, 4861-16]")
    func lifetimes() throws {
        let (segment, host) = settled()
        segment.inject(
            advertisement(router: 7, lifetime: 50, options: prefixOption("2001:db8::/64", valid: 100, preferred: 60))
                .frame())
        segment.run(.seconds(49))
        #expect(made(host, "2001:db8::/64")?.state == .preferred && host.link.defaultRouters.count == 1)
        segment.run(.seconds(2))
        #expect(host.link.defaultRouters.isEmpty && host.stack.nextHop(to: ip("2001:db8:1::1")) == nil)
        segment.run(.seconds(10))
        #expect(made(host, "2001:db8::/64")?.state == .deprecated)
        segment.run(.milliseconds(38_900))
        #expect(made(host, "2001:db8::/64") != nil && host.stack.nextHop(to: ip("2001:db8::1")) != nil)
        segment.run(.milliseconds(200))
        #expect(made(host, "2001:db8::/64") == nil && host.stack.nextHop(to: ip("2001:db8::1")) == nil)
        #expect(host.link.addresses.count == 1)
    }

    @Test("Nobody ends an address within two hours by an advertisement [4862-7]")
    func twoHours() {
        let hour: UInt32 = 3600
        // Remaining before, advertised, remaining after: RFC 4862 §5.5.3 e 1, 2, 3.
        let cases: [(UInt32, UInt32, UInt32)] = [
            (10 * hour, 20 * hour, 20 * hour), (10 * hour, 3 * hour, 3 * hour), (10 * hour, 0, 2 * hour),
            (10 * hour, hour, 2 * hour), (hour, 0, hour), (hour, hour / 2, hour), (hour, hour + 9, hour + 9),
            (10 * hour, 2 * hour, 2 * hour), (10 * hour, .max, .max),
        ]
        for (before, advertised, after) in cases {
            let (segment, host) = settled()
            segment.inject(
                advertisement(router: 7, options: prefixOption("2001:db8::/64", valid: before, preferred: 10)).frame())
            segment.inject(
                advertisement(
                    router: 7, options: prefixOption("2001:db8::/64", valid: advertised, preferred: min(advertised, 7))
                ).frame())
            let end = made(host, "2001:db8::/64")?.validUntil
            #expect(
                end == (after == .max ? .distantFuture : segment.now + .seconds(Int64(after))),
                "\(before) \(advertised)")
            // The preferred lifetime is always taken.
            #expect(made(host, "2001:db8::/64")?.preferredUntil == segment.now + .seconds(Int64(min(advertised, 7))))
        }
    }

    @Test("Queries about groups are answered within the time they give, in the version they speak [3810-2, 2710-1]")
    func queries() throws {
        let (segment, host) = settled()
        let own = host.link.addresses[0].prefix.address
        func query(_ group: IPAddress, delay: UInt16, isFirst: Bool = false, hopLimit: UInt8 = 1) -> [UInt8] {
            DiscoveryFrame(
                type: 130, source: routerAddress(7), destination: .allNodes, hardware: mac(7), hopLimit: hopLimit,
                body: big16(delay) + big16(0) + octets(group) + (isFirst ? [] : [2, 125, 0, 0]),
                headers: [58, 0, 5, 2, 0, 0, 1, 0], firstHeader: 0
            ).frame()
        }
        for group in [IPAddress.unspecifiedIPv6, own.solicitedNode] {
            segment.inject(query(group, delay: 2000))
            segment.run(.milliseconds(2_000))
            let answers = segment.take().dropFirst()
            #expect(answers.count == 1)
            let answer = try #require(answers.first)
            #expect(answer.icmpv6 == 143 && answer.ip?.source == own && answer.body[56] == 2)
            #expect(Array(answer.body[60..<76]) == octets(own.solicitedNode))
        }
        segment.inject(query(ip("ff02::1:ff99:9999"), delay: 2000))
        segment.inject(query(.unspecifiedIPv6, delay: 2000, hopLimit: 2))
        segment.run(.seconds(3))
        #expect(segment.take().count == 2 && host.link.counters[.badListenerQuery] == 1)
        segment.inject(query(.unspecifiedIPv6, delay: 1000, isFirst: true))
        segment.run(.seconds(2))
        let answer = try #require(segment.take().last)
        #expect(answer.icmpv6 == 131 && answer.ip?.destination == own.solicitedNode && answer.ip?.hopLimit == 1)
    }

    @Test("A group is left when the last address that needs it goes [3810-3]")
    func leaves() throws {
        let (segment, host) = host {
            $0.autoconfigures = false; $0.initialDelay = .zero
        }
        segment.give(host, "fd00::1/64")
        segment.give(host, "fd01::1/64")
        segment.run(.seconds(5))
        _ = segment.take()
        host.link.removeAddress(ip("fd00::1"), from: &host.stack, at: segment.now)
        segment.settle()
        #expect(segment.take().isEmpty)
        host.link.removeAddress(ip("fd01::1"), from: &host.stack, at: segment.now)
        segment.settle()
        let report = try #require(segment.take().first)
        #expect(report.icmpv6 == 143 && report.body[56] == 3)
        #expect(Array(report.body[60..<76]) == octets(ip("ff02::1:ff00:1")))
        #expect(host.link.addresses.count == 1)
    }
}
