import TCPEngine
import TCPStack
import TCPWire
import Testing

extension Segment {
    /// The ECN field of its IP header.
    var codepoint: ECNCodepoint { ip.codepoint }
    /// The flags of ECN alone.
    var ecnFlags: TCPFlags { flags.intersection([.ae, .cwr, .ece]) }
}

/// A peer of a stack that wants `mode`, and what passes between the two with marks.
struct MarkedPath {
    let peer: ScriptedPeer
    let size = 1000

    init(
        _ family: Family = .ipv4, _ mode: ExplicitCongestion = .on, control: CongestionControl = .newReno,
        offer: ScriptedPeer.Offer = ScriptedPeer.Offer(mss: 1000, sack: true), host: VirtualHost? = nil,
        change: (inout Configuration) -> Void = { _ in }
    ) {
        var configuration = Configuration.steadySegments
        configuration.explicitCongestionNotification = mode
        change(&configuration)
        peer = ScriptedPeer(family, configuration, host: host, offer: offer, control: control)
    }

    /// The stack opens; the peer answers its SYN with these flags of ECN.
    @discardableResult
    func connect(
        answer: TCPFlags = .ece, arriving codepoint: ECNCodepoint = .notCapable, options: ConnectionOptions = .init()
    ) -> Segment? {
        peer.connect(options: options)
        let syn = peer.pending.popLast()
        peer.host.advance(by: .milliseconds(10))
        peer.agree(stack: syn)
        peer.send(TCPFlags.syn.union(.ack).union(answer)) { $0.trafficClass = codepoint.rawValue }
        return syn
    }

    /// The peer opens, its SYN with these flags. Returns the SYN-ACK.
    @discardableResult
    func accept(
        _ syn: TCPFlags = [.ece, .cwr], arriving codepoint: ECNCodepoint = .notCapable,
        third: TCPFlags = .ack, options: ConnectionOptions = .init()
    ) -> Segment? {
        peer.listen(options: options)
        peer.send(syn.union(.syn)) { $0.trafficClass = codepoint.rawValue }
        let answer = peer.pending.isEmpty ? nil : peer.pending.removeFirst()
        peer.agree(stack: answer)
        peer.host.advance(by: .milliseconds(10))
        peer.send(third)
        peer.accept()
        return answer
    }

    /// Takes all the stack has sent.
    func take() -> [Segment] {
        defer { peer.discard() }
        return peer.pending
    }

    /// Data of the peer, in a packet with that field.
    func data(
        _ codepoint: ECNCodepoint, _ flags: TCPFlags = .ack, seq: Int? = nil, length: Int = 1000, ack: Int? = nil
    ) {
        peer.send(flags, seq: seq, ack: ack, length: length) { $0.trafficClass = codepoint.rawValue }
    }
}
