import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.9.2.2 and RFC 5927: what ICMP may do to a connection.
@Suite("ICMP")
struct ICMPTests {
    @Test(
        "A program that does not want soft errors takes no events, and nothing waits for it [SHLD-20]",
        arguments: Family.allCases)
    func notTaken(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.discard()
        for _ in 0..<1000 { peer.sendICMP(type: family == .ipv4 ? 3 : 1, code: 0, quoting: 1) }
        // A thousand reports of one connection are one event, and hold nothing.
        #expect(peer.host.events.count <= 1000)
        peer.send(.ack)
        peer.send(length: 100)
        peer.expectRead(100)
        #expect(peer.status?.unacknowledged == 0)
    }

    /// Soft errors: unreachable 0, 1, 5, time exceeded, parameter problem, and the ICMPv6 ones like them.
    private func soft(_ family: Family) -> [(UInt8, UInt8)] {
        family == .ipv4
            ? [(3, 0), (3, 1), (3, 5), (11, 0), (11, 1), (12, 0)] : [(1, 0), (1, 3), (3, 0), (3, 1), (4, 0)]
    }

    /// Protocol and port unreachable.
    private func hard(_ family: Family) -> [(UInt8, UInt8)] { family == .ipv4 ? [(3, 2), (3, 3)] : [(1, 4)] }

    @Test("Soft errors are told and abort nothing [MUST-56, MUST-47, SHLD-25]", arguments: Family.allCases)
    func softErrors(family: Family) {
        for (type, code) in soft(family) {
            let peer = ScriptedPeer(family)
            peer.establish()
            peer.write(100)
            peer.discard()
            peer.sendICMP(type: type, code: code, quoting: 1)
            #expect(peer.takeReadiness().contains(.troubled), "\(type)/\(code)")
            peer.expectState(.established)
            peer.send(.ack)
            #expect(peer.status?.unacknowledged == 0)
            #expect(peer.status?.error == nil)
        }
    }

    @Test(
        "Soft errors do not stop an opening connection either; if it then times out, the error says why [MUST-56, MUST-54]",
        arguments: Family.allCases)
    func softInSynSent(family: Family) {
        for (type, code) in soft(family) {
            let peer = ScriptedPeer(family)
            peer.enter(.synSent)
            peer.sendICMP(type: type, code: code, quoting: 0)
            peer.expectState(.synSent)
            peer.expect(.syn, after: .seconds(1))
            peer.host.advance(by: .seconds(400))
            peer.expectState(.closed)
            #expect(peer.status?.error == .unreachable)
        }
    }

    @Test("A hard error ends a connection that is opening [SHLD-26]", arguments: Family.allCases)
    func hardInSynSent(family: Family) {
        for (type, code) in hard(family) {
            let peer = ScriptedPeer(family)
            peer.enter(.synSent)
            peer.sendICMP(type: type, code: code, quoting: 0)
            peer.expectState(.closed)
            #expect(peer.status?.error == .unreachable)
            peer.expectNothing(for: .seconds(100))
        }
    }

    @Test(
        "A hard error is soft to a connection that is open [SHLD-26, RFC 5927 §6, 5482-3]", arguments: Family.allCases,
        [State.established, .finWait1, .closeWait])
    func hardInEstablished(family: Family, state: State) {
        for (type, code) in hard(family) {
            let peer = ScriptedPeer(family)
            peer.enter(state)
            if state != .finWait1 {
                peer.write(10)
                peer.discard()
            }
            peer.sendICMP(type: type, code: code, quoting: 1)
            peer.expectState(state)
            #expect(peer.takeReadiness().contains(.troubled))
        }
    }

    @Test(
        "An error about a sequence number that is not in flight is ignored [MUST-54, RFC 5927 §4, 5482-3]",
        arguments: Family.allCases)
    func sequenceCheck(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.discard()
        for sequence in [0, -5, 101, 5000, 0x7000_0000] {
            peer.sendICMP(type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 1 : 0, quoting: sequence)
            #expect(!peer.takeReadiness().contains(.troubled), "\(sequence)")
        }
        let opening = ScriptedPeer(family)
        opening.enter(.synSent)
        opening.sendICMP(type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 3 : 4, quoting: 5)
        opening.expectState(.synSent)
    }

    @Test("Only the connection that is quoted hears of it [MUST-54]", arguments: Family.allCases)
    func quoted(family: Family) {
        let one = ScriptedPeer(family)
        one.establish()
        let other = ScriptedPeer(family, host: one.host, port: 4001)
        other.listener = one.listener
        other.establish()
        one.write(10)
        other.write(10)
        one.sendICMP(type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 1 : 0, quoting: 1)
        #expect(!other.takeReadiness().contains(.troubled))
        one.sendICMP(
            type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 1 : 0, quoting: 1,
            quoted: (one.target, Endpoint(family.address(99), 4000)))
        #expect(!other.takeReadiness().contains(.troubled))
    }

    @Test("Source quench is discarded silently [MUST-55]")
    func sourceQuench() {
        let peer = ScriptedPeer(.ipv4)
        peer.establish()
        peer.write(100_000)
        let window = peer.status?.congestionWindow
        peer.discard()
        peer.sendICMP(type: 4, code: 0, quoting: 1)
        peer.expectNothing()
        #expect(peer.status?.congestionWindow == window)
        #expect(peer.takeReadiness().isEmpty)
    }

    @Test(
        "An ICMP message that is too short, or has a wrong sum, is counted and does nothing [rule 1]",
        arguments: Family.allCases)
    func malformed(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(10)
        peer.discard()
        let type: UInt8 = family == .ipv4 ? 3 : 1
        for length in [0, 4, 7, 8, 20, 27] {
            peer.sendICMP(type: type, code: 0, quoting: 1) { $0 = Array($0.prefix(length)) }
        }
        peer.sendICMP(type: type, code: 0, quoting: 1) { $0[3] ^= 0xFF }
        #expect(!peer.takeReadiness().contains(.troubled))
        #expect(peer.host.stack.counters[.badICMP] + peer.host.stack.counters[.badChecksum] == 7)
    }

    @Test(
        "An echo request is answered with its data [RFC 792, RFC 4443 §4.2]", arguments: Family.allCases,
        [0, 1, 56, 1400])
    func echo(family: Family, size: Int) {
        let peer = ScriptedPeer(family)
        let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        guard let answer = peer.echo(data) else {
            Issue.record("no answer")
            return
        }
        #expect(answer[0] == (family == .ipv4 ? 0 : 129))
        #expect(Array(answer[4...]) == [0x12, 0x34, 0, 7] + data)
        #expect(peer.checksum(of: answer, from: peer.target.address, to: peer.endpoint.address) == 0)
    }
}
