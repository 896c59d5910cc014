import TCPStack
import TCPWire
import Testing

@Suite struct RouteTests {
    private let now = Instant(nanoseconds: 1_000_000_000)

    /// A stack whose links the tests hold.
    private final class Host {
        var stack: Stack

        init(_ configuration: Configuration, at now: Instant) {
            stack = Stack(configuration: configuration, secret: StackSecret(1, 2), at: now)
        }

        func addRoute(_ route: Route) -> Bool { stack.addRoute(route) }
        func addInterface(mtu: Int = 1500) -> InterfaceID? { stack.addInterface(InterfaceConfiguration(mtu: mtu)) }
        func addAddress(_ text: String, on interface: InterfaceID) -> Bool {
            stack.addAddress(AddressPrefix(text)!, on: interface)
        }

        /// The next packet of a link.
        func transmit(on interface: InterfaceID, at now: Instant) -> [UInt8]? {
            var octets = [UInt8](repeating: 0, count: 1500)
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            return stack.transmit(into: &bytes, on: interface, at: now).map { Array(octets[..<$0.length]) }
        }
    }

    private func host(_ addresses: [String], everything: Bool = false) -> Host {
        var configuration = Configuration()
        configuration.takesEverything = everything
        let host = Host(configuration, at: now)
        for text in addresses { host.stack.addAddress(AddressPrefix(text)!) }
        return host
    }

    private func address(_ text: String) -> IPAddress { IPAddress(text)! }

    /// The source of the SYN that a connection to `text` sends, and by which link.
    private func source(_ host: Host, to text: String, on interface: InterfaceID? = nil) throws -> (String, Int)? {
        let id = try host.stack.connect(to: Endpoint(address(text), 80), on: interface, at: now)
        defer { host.stack.abort(id, at: now) }
        for link in 0..<3 {
            if let sent = host.transmit(on: InterfaceID(index: UInt8(link)), at: now) {
                let ip = try IPHeader(parsing: sent.span.bytes)
                return (ip.source.description, link)
            }
        }
        return nil
    }

    @Test(
        "The longest prefix decides, then what was added first; without a route there is none [RFC 1122 §3.3.1, 6724-2]"
    )
    func longest() throws {
        let host = host(["10.0.0.1/24", "fd00::1/64"])
        #expect(host.stack.nextHop(to: address("10.0.0.9")) == address("10.0.0.9"))
        #expect(host.stack.nextHop(to: address("192.0.2.1")) == nil)
        host.stack.addRoute(Route(AddressPrefix("0.0.0.0/0")!, via: address("10.0.0.2")))
        host.stack.addRoute(Route(AddressPrefix("0.0.0.0/0")!, via: address("10.0.0.3")))
        host.stack.addRoute(Route(AddressPrefix("192.0.2.0/24")!, via: address("10.0.0.4")))
        host.stack.addRoute(Route(AddressPrefix("192.0.2.128/25")!, via: nil))
        #expect(host.stack.nextHop(to: address("198.51.100.1")) == address("10.0.0.2"))
        #expect(host.stack.nextHop(to: address("192.0.2.1")) == address("10.0.0.4"))
        #expect(host.stack.nextHop(to: address("192.0.2.129")) == address("192.0.2.129"))
        #expect(host.stack.nextHop(to: address("10.0.0.77")) == address("10.0.0.77"))
        #expect(host.stack.nextHop(to: address("2001:db8::1")) == nil)
        host.stack.removeRoute(Route(AddressPrefix("0.0.0.0/0")!, via: address("10.0.0.2")))
        #expect(host.stack.nextHop(to: address("198.51.100.1")) == address("10.0.0.3"))
        #expect(host.stack.audit() == nil)
        #expect(throws: OpenError.noRoute) { try source(host, to: "2001:db8::1") }
        #expect(try source(host, to: "192.0.2.1")?.0 == "10.0.0.1")
    }

    @Test("Routes are bounded, charged, and refused for a gateway of another family")
    func bounds() {
        let host = host(["10.0.0.1/24"])
        let before = host.stack.memory.total
        #expect(!host.addRoute(Route(AddressPrefix("0.0.0.0/0")!, via: address("fd00::2"))))
        #expect(!host.addRoute(Route(AddressPrefix("0.0.0.0/0")!, via: address("224.0.0.1"))))
        #expect(!host.addRoute(Route(AddressPrefix("0.0.0.0/0")!, on: InterfaceID(index: 3))))
        for number in 0..<300 {
            let prefix = AddressPrefix(IPAddress(ipv4: 0x0B00_0000 + UInt32(number) << 8), length: 24)
            #expect(host.addRoute(Route(prefix)) == (number < 256))
            #expect(host.addRoute(Route(prefix)) == (number < 256))
        }
        #expect(host.stack.addedRoutes.count == 256 && host.stack.audit() == nil)
        for route in host.stack.addedRoutes { host.stack.removeRoute(route) }
        #expect(host.stack.memory.total == before)
    }

    @Test("An address is heard, and spoken from, on its own link only [RFC 1122 §3.3.4.2, 6724-3]")
    func strong() throws {
        let host = host(["10.0.0.1/24"])
        let second = try #require(host.addInterface(mtu: 1280))
        host.stack.addAddress(AddressPrefix("10.1.0.1/24")!, on: second)
        host.stack.addAddress(AddressPrefix("fe80::1/64")!)
        host.stack.addAddress(AddressPrefix("fe80::1/64")!, on: second)
        #expect(try source(host, to: "10.0.0.9")! == ("10.0.0.1", 0))
        #expect(try source(host, to: "10.1.0.9")! == ("10.1.0.1", 1))
        #expect(try source(host, to: "fe80::9")! == ("fe80::1", 0))
        #expect(try source(host, to: "fe80::9", on: second)! == ("fe80::1", 1))

        let ping = plain(
            IPHeader(source: address("10.1.0.9"), destination: address("10.1.0.1"), protocolNumber: IPProtocol.icmp),
            [8, 0, 0xF7, 0xFF, 0, 0, 0, 0])
        host.stack.receive(ping.span.bytes, on: .first, at: now)
        #expect(host.stack.counters[.notForUs] == 1)
        #expect(!host.stack.wantsToTransmit(on: .first) && !host.stack.wantsToTransmit(on: second))
        host.stack.receive(ping.span.bytes, on: second, at: now)
        #expect(!host.stack.wantsToTransmit(on: .first) && host.stack.wantsToTransmit(on: second))
        #expect(host.stack.audit() == nil)
    }

    @Test("A link that is full holds up nobody on another")
    func independent() throws {
        let host = host(["10.0.0.1/24"])
        let second = try #require(host.addInterface())
        host.stack.addAddress(AddressPrefix("10.1.0.1/24")!, on: second)
        for _ in 0..<50 { _ = try host.stack.connect(to: Endpoint(address("10.0.0.9"), 80), at: now) }
        _ = try host.stack.connect(to: Endpoint(address("10.1.0.9"), 80), at: now)
        #expect(host.transmit(on: second, at: now) != nil)
        #expect(host.transmit(on: second, at: now) == nil)
        #expect(host.stack.wantsToTransmit(on: .first) && host.stack.audit() == nil)
    }

    @Test("Each link's MTU gives the MSS of its connections", arguments: [(0, 1460), (1, 960)])
    func segmentSize(link: Int, size: UInt16) throws {
        let host = host(["10.0.0.1/24"])
        let second = try #require(host.addInterface(mtu: 1000))
        host.stack.addAddress(AddressPrefix("10.1.0.1/24")!, on: second)
        _ = try host.stack.connect(to: Endpoint(IPAddress(10, UInt8(link), 0, 9), 80), at: now)
        let sent = try #require(host.transmit(on: InterfaceID(index: UInt8(link)), at: now))
        let segment = Array(sent[20...])
        let header = try TCPHeader(parsing: segment.span.bytes)
        #expect(header.options.maximumSegmentSize == size)
    }

    @Test(
        "The source is chosen by RFC 6724 §5: same, scope, not deprecated, label, longest prefix [6724-1]",
        arguments: [
            // Rule 2.
            (["fe80::1/64", "2001:db8::1/64"], "2001:db8:1::9", "2001:db8::1"),
            (["2001:db8::1/64", "fe80::1/64"], "fe80::9", "fe80::1"),
            (["2001:db8::1/64", "fe80::1/64"], "2001:db8::9", "2001:db8::1"),
            (["169.254.0.1/16", "198.51.100.1/24"], "192.0.2.1", "198.51.100.1"),
            // Rule 6.
            (["fd00::1/64", "2001:db8::1/64"], "2001:db8:1::9", "2001:db8::1"),
            (["2001:db8::1/64", "fd00::1/64"], "fd00:1::9", "fd00::1"),
            (["2002:c633:6401::1/48", "2001:db8::1/64"], "2002:c633:6402::9", "2002:c633:6401::1"),
            // Its label comes before how much it has in common.
            (["2002:c633:6401::1/48", "2400::1/64"], "2003::9", "2400::1"),
            // Rule 8.
            (["2001:db8:1::1/64", "2001:db8:3ffe::1/64"], "2001:db8:3fff::9", "2001:db8:3ffe::1"),
            // Rule 8 counts no bit past the prefix: the first stays.
            (["2001:db8::1/64", "2001:db8::8/64"], "2001:db8::9", "2001:db8::1"),
            (["10.0.0.1/8", "192.168.0.1/16"], "192.168.3.3", "192.168.0.1"),
        ])
    func selection(addresses: [String], destination: String, expected: String) throws {
        let host = host(addresses, everything: true)
        #expect(try source(host, to: destination)?.0 == expected)
    }

    @Test("A deprecated address is taken only where there is no other [RFC 4862 §5.5.4, RFC 6724 §5 rule 3]")
    func deprecated() throws {
        let host = host(["2001:db8::1/64", "2001:db8::2/64"])
        host.stack.setDeprecated(true, address("2001:db8::1"))
        #expect(try source(host, to: "2001:db8::9")?.0 == "2001:db8::2")
        host.stack.removeAddress(address("2001:db8::2"))
        #expect(try source(host, to: "2001:db8::9")?.0 == "2001:db8::1")
    }

    @Test("Addresses that come and go take the place of those that went, but not while something goes by it")
    func churn() throws {
        let host = host([])
        let before = host.stack.memory.routing
        for number in 1...2000 {
            let address = IPAddress(ipv4: 0x0A00_0000 + UInt32(number))
            host.stack.addAddress(AddressPrefix(address, length: 8))
            host.stack.removeAddress(address)
        }
        #expect(host.stack.memory.routing - before < 200)
        host.stack.addAddress(AddressPrefix("10.0.0.1/8")!)
        let id = try host.stack.connect(to: Endpoint(address("10.0.0.9"), 80), at: now)
        host.stack.removeAddress(address("10.0.0.1"))
        host.stack.addAddress(AddressPrefix("10.0.0.2/8")!)
        #expect(host.stack.status(of: id)?.local.address == address("10.0.0.1"))
        #expect(host.stack.audit() == nil)
    }

    @Test("There are no more links than there may be")
    func links() {
        let host = host([])
        for _ in 1..<InterfaceID.limit { #expect(host.addInterface() != nil) }
        #expect(host.addInterface() == nil)
        #expect(!host.addAddress("10.0.0.1/8", on: InterfaceID(index: 9)))
    }
}
