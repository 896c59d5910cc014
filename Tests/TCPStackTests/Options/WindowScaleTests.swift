import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 7323 §2: window scaling.
@Suite("Window scale")
struct WindowScaleTests {
    @Test(
        "The window of a SYN or SYN,ACK is never scaled, every other one is [RFC 7323 §2.2, B-18, 7323-1]",
        arguments: Family.allCases)
    func unscaledSyn(family: Family) {
        let active = ScriptedPeer(family, offer: .scaled)
        active.enter(.synSent)
        active.offer = .scaled
        active.agree(stack: active.history.first)
        active.window = 1000
        active.send([.syn, .ack])
        active.expect(.ack)
        #expect(active.status?.sendWindow == 1000)
        active.send(.ack)
        #expect(active.status?.sendWindow == 1000 << 7)
        let passive = ScriptedPeer(family, offer: .scaled)
        passive.window = 1000
        passive.beginPassive()
        // The third segment is scaled already.
        passive.send(.ack)
        passive.accept()
        #expect(passive.status?.sendWindow == 1000 << 7)
    }

    @Test(
        "Scaling is on only if both SYNs had the option [RFC 7323 §2.2, B-18, 7323-2]", arguments: Family.allCases,
        Role.allCases)
    func both(family: Family, role: Role) {
        for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
            var configuration = Configuration()
            configuration.windowScaling = ours
            let peer = ScriptedPeer(family, configuration, offer: theirs ? .scaled : .plain)
            peer.establish(role)
            let syn = peer.history.first { $0.flags.contains(.syn) }
            // An active opener offers; a passive one answers an offer.
            #expect((syn?.tcp.options.windowScale != nil) == (ours && (role == .active || theirs)))
            peer.send(.ack, window: 500)
            #expect(peer.status?.sendWindow == (ours && theirs ? 500 << 7 : 500))
            peer.send(length: 10)
            peer.expect(.ack, ack: 11, within: .milliseconds(500))
        }
    }

    @Test("A shift above 14 counts as 14 [RFC 7323 §2.3, REC-1, 7323-3]", arguments: [UInt8(14), 15, 255])
    func shift(shift: UInt8) {
        let peer = ScriptedPeer(.ipv4, offer: ScriptedPeer.Offer(windowScale: shift))
        peer.establish()
        peer.send(.ack, window: 65535)
        #expect(peer.status?.sendWindow == 1_073_725_440)
        peer.write(100_000)
        peer.expectState(.established)
    }

    @Test("The option outside a SYN is ignored [RFC 7323 §2.2, 7323-4]", arguments: Family.allCases)
    func outsideSyn(family: Family) {
        let peer = ScriptedPeer(family, offer: .scaled)
        peer.establish()
        peer.send(.ack, window: 100, options: [.nop, .windowScale(1)])
        #expect(peer.status?.sendWindow == 100 << 7)
        let plain = ScriptedPeer(family)
        plain.establish()
        plain.send(.ack, window: 100, options: [.nop, .windowScale(9)])
        #expect(plain.status?.sendWindow == 100)
    }

    @Test(
        "The shift announced is enough for the receive buffer and no more than needed [RFC 7323 §2.3]",
        arguments: [4096, 65535, 65536, 1 << 20, 4 << 20])
    func announced(buffer: Int) {
        var configuration = Configuration()
        configuration.receiveBuffer = buffer
        let peer = ScriptedPeer(.ipv4, configuration, offer: .scaled)
        peer.beginPassive()
        let shift = Int(peer.history.first?.tcp.options.windowScale ?? 0)
        #expect(65535 << shift >= buffer || shift == 14)
        #expect(shift == 0 || 65535 << (shift - 1) < buffer)
        // A SYN,ACK cannot say more than 65535.
        #expect(peer.history.first.map { Int($0.tcp.window) } == min(65535, buffer))
    }

    @Test(
        "What was in an advertised window is taken, though rounding may have said less since [RFC 7323 §2.4, 7323-5]",
        arguments: Family.allCases)
    func roundedEdge(family: Family) {
        // No multiple of the unit, so each odd segment leaves an edge between two units.
        var configuration = Configuration()
        configuration.receiveBuffer = 300_001
        let peer = ScriptedPeer(family, configuration, offer: .scaled)
        peer.establish()
        peer.send(length: 1000)
        peer.host.advance(by: .milliseconds(100))
        for size in [1001, 1003, 777, 1, 13, 999] {
            peer.send(length: size)
            peer.host.advance(by: .milliseconds(100))
        }
        peer.discard()
        let edge = peer.rightEdge
        while peer.next < edge { peer.send(length: min(1460, edge - peer.next)) }
        peer.host.advance(by: .milliseconds(100))
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == edge, "all up to the edge is taken")
        peer.expectRead(edge - 1)
    }

    @Test(
        "The window is unsigned: above 32767 it lets more than 32 KiB into flight [MUST-1]", arguments: Family.allCases)
    func unsigned(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(900_000)
        // Slow start opens the congestion window; the peer's window is then what holds.
        for _ in 0..<12 {
            let acks = peer.pending.count
            peer.discard()
            _ = acks
            peer.send(.ack)
        }
        #expect(peer.received - 1 > 0)
        let flight = (peer.status.map { $0.unacknowledged } ?? 0)
        #expect(flight > 0)
        let sent = peer.history.map { peer.relative($0) + $0.length }.max() ?? 0
        let acked = peer.offeredEdge - 65535
        #expect(sent - acked > 32_768)
        #expect(sent - acked <= 65_535)
    }

    @Test(
        "Without scaling a connection keeps no more than a window can tell, 65535 octets [RFC 7323 §2.1]",
        arguments: Family.allCases)
    func withoutScaling(family: Family) {
        var configuration = Configuration()
        configuration.windowScaling = false
        let peer = ScriptedPeer(family, configuration, offer: .scaled)
        peer.establish()
        while peer.next < 65_536 { peer.send(length: min(1460, 65_536 - peer.next)) }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.history.last?.tcp.window == 0)
        peer.expectRead(65_535)
    }

    @Test(
        "Rounding to the window's unit takes nothing back of what there is room for [SHLD-14, RFC 7323 §2.4]",
        arguments: Family.allCases)
    func rounding(family: Family) {
        let peer = ScriptedPeer(family, offer: .scaled)
        peer.establish()
        var edge = 0
        for _ in 0..<20 {
            peer.send(length: 1001)
            peer.host.advance(by: .milliseconds(100))
            guard let ack = peer.pending.last else { return peer.fail("no acknowledgment", #_sourceLocation) }
            peer.discard()
            let now = peer.relativeAcknowledgment(ack) + Int(ack.tcp.window) << peer.stackShift
            #expect(now >= edge || now > 1 + peer.host.configuration.receiveBuffer, "\(peer.host.recentTrace())")
            edge = now
        }
    }
}
