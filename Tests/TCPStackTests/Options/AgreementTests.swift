import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What both SYNs together agree on, where the other tests open passively.
@Suite("What is agreed in the handshake")
struct AgreementTests {
    @Test("The window field of our SYN and SYN-ACK is not scaled [7323-1]", arguments: Family.allCases, Role.allCases)
    func ownWindow(family: Family, role: Role) {
        let peer = ScriptedPeer(family, offer: .scaled)
        peer.establish(role)
        let syn = peer.history.first { $0.flags.contains(.syn) }
        #expect(syn?.tcp.options.windowScale ?? 0 > 0)
        #expect(syn?.tcp.window == 65535)
    }

    @Test("A shift above 14 counts as 14 for who opens too [7323-3]", arguments: [UInt8(14), 15, 255])
    func shift(shift: UInt8) {
        let peer = ScriptedPeer(.ipv4, offer: ScriptedPeer.Offer(windowScale: shift))
        peer.establish(.active)
        peer.send(.ack, window: 65535)
        #expect(peer.status?.sendWindow == 1_073_725_440)
    }

    @Test("What our SYN did not offer is not used, though the peer's does [2018-1, 7323-2]", arguments: Family.allCases)
    func notOffered(family: Family) {
        var configuration = Configuration()
        configuration.selectiveAcknowledgment = false
        configuration.timestamps = false
        let other = ScriptedPeer(family, configuration, offer: .full)
        other.connect()
        other.agree(stack: other.expect(.syn))
        other.send([.syn, .ack])
        other.expect(.ack, seq: 1, ack: 1)
        other.send(seq: 11, length: 10)
        let answer = other.expect(.ack, seq: 1, ack: 1)
        #expect(answer?.sack.isEmpty == true)
        #expect(answer?.tcp.options.timestamps == nil)
    }

    @Test(
        "The SYN-ACK of a simultaneous open offers what the peer's SYN offered, and no more [7323-2, 2018-1]",
        arguments: Family.allCases)
    func simultaneous(family: Family) {
        for offer in [ScriptedPeer.Offer.plain, .sack, .timestamps, .scaled] {
            let peer = ScriptedPeer(family, offer: offer)
            peer.enter(.synSent)
            peer.checksLedger = false
            peer.send(.syn)
            let answer = peer.expect([.syn, .ack], seq: 0, ack: 1)
            #expect((answer?.tcp.options.timestamps != nil) == offer.timestamps)
            #expect(answer?.tcp.options.sackPermitted == offer.sack)
            #expect((answer?.tcp.options.windowScale != nil) == (offer.windowScale != nil))
        }
    }
}
