import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.9.1.1 and §3.10.1: the OPEN call.
@Suite("OPEN")
struct OpenCallTests {
    private func error(_ body: () throws(OpenError) -> Void) -> OpenError? {
        do { try body() } catch { return error }
        return nil
    }

    @Test(
        "connect to a broadcast, multicast or unspecified address is refused at once, without a packet [MUST-46]",
        arguments: Family.allCases)
    func invalidRemote(family: Family) {
        let host = VirtualHost(families: [family])
        let remotes: [IPAddress] =
            family == .ipv4
            ? [
                IPAddress(255, 255, 255, 255), IPAddress(224, 0, 0, 1), IPAddress(0, 0, 0, 0),
                IPAddress(10, 0, 255, 255),
            ] : [IPAddress("ff02::1")!, IPAddress("::")!]
        for remote in remotes {
            let found = error { () throws(OpenError) in
                _ = try host.stack.connect(to: Endpoint(remote, 80), at: host.now)
            }
            #expect(found == .invalidAddress, "\(remote)")
        }
        host.advance(by: .seconds(5))
        #expect(host.strays.isEmpty && host.others.isEmpty)
        #expect(host.stack.flows().isEmpty)
    }

    @Test("connect to port zero and listen on port zero are refused [MUST-46]")
    func portZero() {
        let host = VirtualHost()
        #expect(
            error { () throws(OpenError) in
                _ = try host.stack.connect(to: Endpoint(IPAddress(10, 0, 0, 2), 0), at: host.now)
            }
                == .invalidAddress)
        #expect(
            error { () throws(OpenError) in _ = try host.stack.listen(on: 0, at: host.now) } == .invalidAddress)
    }

    @Test("connect without an address of the remote's family is refused [MUST-44]", arguments: Family.allCases)
    func noLocal(family: Family) {
        let other: Family = family == .ipv4 ? .ipv6 : .ipv4
        let host = VirtualHost(families: [other])
        #expect(
            error { () throws(OpenError) in
                _ = try host.stack.connect(to: Endpoint(family.peerAddress, 80), at: host.now)
            } == .noLocalAddress)
        #expect(
            error { () throws(OpenError) in
                _ = try host.stack.connect(
                    to: Endpoint(other.peerAddress, 80), from: other.address(77), at: host.now)
            } == .noLocalAddress)
    }

    @Test(
        "The local address asked for is the SYN's source; without one the stack chooses [MUST-43, MUST-44]",
        arguments: Family.allCases)
    func localAddress(family: Family) throws {
        let host = VirtualHost(families: [family])
        host.stack.addAddress(AddressPrefix(family.address(7), length: family.prefixLength))
        for wanted in [family.address(7), family.address(1)] {
            _ = try host.stack.connect(to: Endpoint(family.peerAddress, 80), from: wanted, at: host.now)
            host.settle()
            #expect(host.strays.last?.ip.source == wanted)
        }
        _ = try host.stack.connect(to: Endpoint(family.peerAddress, 80), at: host.now)
        host.settle()
        let chosen = try #require(host.strays.last?.ip.source)
        #expect([family.address(7), family.address(1)].contains(chosen))
    }

    @Test("Of two subnets the source is chosen on the remote's [MUST-44]", arguments: Family.allCases)
    func nearestSource(family: Family) throws {
        let host = VirtualHost(families: [family])
        let far = family == .ipv4 ? IPAddress(192, 168, 5, 1) : IPAddress("fd77::1")!
        let remote = family == .ipv4 ? IPAddress(192, 168, 5, 9) : IPAddress("fd77::9")!
        host.stack.addAddress(AddressPrefix(far, length: family == .ipv4 ? 24 : 64))
        _ = try host.stack.connect(to: Endpoint(remote, 80), at: host.now)
        host.settle()
        #expect(host.strays.last?.ip.source == far)
        _ = try host.stack.connect(to: Endpoint(family.peerAddress, 80), at: host.now)
        host.settle()
        #expect(host.strays.last?.ip.source == family.stackAddress)
    }

    @Test("A connection keeps its source address when addresses are added [MUST-45]", arguments: Family.allCases)
    func keepsAddress(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish(.active)
        peer.host.stack.addAddress(AddressPrefix(family.address(3), length: family.prefixLength))
        peer.write(100)
        let segment = peer.expect([.psh, .ack], length: 100)
        #expect(segment?.ip.source == family.stackAddress)
        let again = peer.expect([.psh, .ack], length: 100, after: .milliseconds(200))
        #expect(again?.ip.source == family.stackAddress)
    }

    @Test("A listener on one address takes SYNs to that address alone [MUST-43]", arguments: Family.allCases)
    func boundListener(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.host.stack.addAddress(AddressPrefix(family.address(7), length: family.prefixLength))
        _ = try peer.host.stack.listen(on: 80, address: family.address(7), at: peer.host.now)
        peer.send(.syn, seq: 0)
        peer.expect([.rst, .ack])
        peer.target.address = family.address(7)
        peer.stackISN = nil
        peer.send(.syn, seq: 0)
        peer.expect([.syn, .ack], seq: 0, ack: 1)
    }

    @Test("A second listen on the same port is an error and harms no child [MUST-41]", arguments: Family.allCases)
    func listenTwice(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        let second = error { () throws(OpenError) in _ = try peer.host.stack.listen(on: 80, at: peer.host.now) }
        #expect(second == .addressInUse)
        peer.send(length: 10)
        peer.expectRead(10)
        peer.expectState(.established)
    }

    @Test(
        "Listening on a port from which a connection is opening is accepted, and both go on [MUST-42]",
        arguments: Family.allCases)
    func listenWhileOpening(family: Family) throws {
        let peer = ScriptedPeer(family, stackPort: 6000)
        peer.connect(port: 6000)
        peer.expect(.syn)
        let other = ScriptedPeer(family, host: peer.host, port: 4444, stackPort: 6000)
        other.establish()
        peer.send([.syn, .ack])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
    }

    @Test("A second connect of one four-tuple is an error [U-18]", arguments: Family.allCases)
    func sameTuple(family: Family) throws {
        let peer = ScriptedPeer(family, stackPort: 6000)
        peer.connect(port: 6000)
        peer.expect(.syn)
        let again = error { () throws(OpenError) in
            _ = try peer.host.stack.connect(to: peer.endpoint, port: 6000, at: peer.host.now)
        }
        #expect(again == .addressInUse)
        peer.expectState(.synSent)
        // Towards another endpoint the port is free.
        _ = try peer.host.stack.connect(
            to: Endpoint(family.address(9), 80), port: 6000, at: peer.host.now)
    }

    @Test(
        "Ephemeral ports come from 49152 to 65535, differ for each connection and are not in order [RFC 6056, 6528-2]",
        arguments: Family.allCases)
    func ephemeralPorts(family: Family) throws {
        let host = VirtualHost(families: [family])
        var ports: [UInt16] = []
        for _ in 0..<500 {
            _ = try host.stack.connect(to: Endpoint(family.peerAddress, 80), at: host.now)
            host.settle()
            ports.append(try #require(host.strays.last).source.port)
        }
        #expect(ports.allSatisfy { $0 >= 49152 })
        #expect(Set(ports).count == 500)
        let other = VirtualHost(secret: StackSecret(77, 78), families: [family])
        var others: [UInt16] = []
        for _ in 0..<20 {
            _ = try other.stack.connect(to: Endpoint(family.peerAddress, 80), at: other.now)
            other.settle()
            others.append(try #require(other.strays.last).source.port)
        }
        #expect(Array(ports.prefix(20)) != others, "another secret, other ports")
        // Towards another remote the first port is another one (double hash).
        _ = try host.stack.connect(to: Endpoint(family.address(200), 80), at: host.now)
        host.settle()
        #expect(host.strays.last?.source.port != ports.last.map { $0 &+ 1 })
    }

    @Test(
        "When all ephemeral ports towards an endpoint are taken, connect says so; another endpoint still goes [RFC 6056, 6528-2]"
    )
    func portsExhausted() throws {
        let host = VirtualHost(families: [.ipv4])
        host.isLinkFull = true
        let remote = Endpoint(IPAddress(10, 0, 0, 2), 80)
        for _ in 49152...65535 { _ = try host.stack.connect(to: remote, at: host.now) }
        let full = error { () throws(OpenError) in _ = try host.stack.connect(to: remote, at: host.now) }
        #expect(full == .noPortLeft)
        _ = try host.stack.connect(to: Endpoint(IPAddress(10, 0, 0, 3), 80), at: host.now)
    }
}
