import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Who opens: the stack, or the peer.
enum Role: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case active, passive
    var testDescription: String { rawValue }
}

extension State {
    /// The states from SYN-RECEIVED on, which RFC 9293 §3.10.7.4 treats together.
    static let synchronized: [State] = [
        .established, .finWait1, .finWait2, .closeWait, .closing, .lastAck, .timeWait,
    ]
    /// The states in which the peer may still send data.
    static let receiving: [State] = [.established, .finWait1, .finWait2]
}

/// The shortest way to each state.
extension ScriptedPeer {
    /// The connection's state as the stack gives it; CLOSED if it knows of none.
    var state: State {
        if let status { return status.state }
        if let state = host.state(local: target, remote: endpoint) { return state }
        return .closed
    }

    func expectState(_ expected: State, sourceLocation: SourceLocation = #_sourceLocation) {
        if state != expected { fail("expected state \(expected)\n     got \(state)", sourceLocation) }
    }

    /// The states this conversation went through, in order: `[.closed, .synSent, .established]`.
    var path: [State] {
        var path: [State] = []
        for change in host.changes where change.remote == endpoint && change.local.port == target.port {
            if path.last != change.from { path.append(change.from) }
            path.append(change.to)
        }
        return path
    }

    /// Opens the connection. `rtt` passes between the SYN and its answer, so that a round trip is measured.
    func establish(
        _ role: Role = .passive, options: ConnectionOptions = ConnectionOptions(), rtt: Duration = .milliseconds(10),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        switch role {
        case .passive:
            beginPassive(options: options, sourceLocation: sourceLocation)
            if rtt > .zero { host.advance(by: rtt) }
            send(.ack)
            accept(sourceLocation: sourceLocation)
        case .active:
            connect(options: options, sourceLocation: sourceLocation)
            let syn = expect(.syn, sourceLocation: sourceLocation)
            if rtt > .zero { host.advance(by: rtt) }
            agree(stack: syn)
            send([.syn, .ack])
            expect(.ack, seq: 1, ack: 1, sourceLocation: sourceLocation)
        }
        expectState(.established, sourceLocation: sourceLocation)
        host.events.removeAll()
    }

    /// Listens, sends the SYN and takes the SYN-ACK.
    func beginPassive(
        options: ConnectionOptions = ConnectionOptions(), sourceLocation: SourceLocation = #_sourceLocation
    ) {
        if listener == nil { listen(options: options, sourceLocation: sourceLocation) }
        send(.syn)
        agree(stack: expect([.syn, .ack], seq: 0, ack: 1, sourceLocation: sourceLocation))
    }

    /// What both SYNs say together decides on window scale and timestamps (RFC 7323 §2.2, §3.2).
    func agree(stack: Segment?) {
        guard let options = stack?.tcp.options else { return }
        if let theirs = options.windowScale, let ours = offer.windowScale {
            stackShift = Int(theirs)
            peerShift = Int(min(ours, 14))
        }
        usesTimestamps = options.timestamps != nil && offer.timestamps
    }

    /// Takes the connection to `wanted` the shortest way, with nothing left to expect.
    func enter(_ wanted: State, _ role: Role = .passive, sourceLocation: SourceLocation = #_sourceLocation) {
        switch wanted {
        case .closed: break
        case .listen: listen(sourceLocation: sourceLocation)
        case .synSent:
            connect(sourceLocation: sourceLocation)
            expect(.syn, sourceLocation: sourceLocation)
        case .synReceived:
            if role == .passive {
                beginPassive(sourceLocation: sourceLocation)
            } else {
                enter(.synSent, sourceLocation: sourceLocation)
                send(.syn)
                expect([.syn, .ack], seq: 0, ack: 1, sourceLocation: sourceLocation)
            }
        case .established: establish(role, sourceLocation: sourceLocation)
        case .finWait1:
            establish(role, sourceLocation: sourceLocation)
            close(sourceLocation: sourceLocation)
            expect([.fin, .ack], seq: 1, ack: 1, sourceLocation: sourceLocation)
        case .finWait2:
            enter(.finWait1, role, sourceLocation: sourceLocation)
            send(.ack)
        case .closing:
            enter(.finWait1, role, sourceLocation: sourceLocation)
            send([.fin, .ack], ack: 1)
            expect(.ack, seq: 2, ack: 2, within: .milliseconds(500), sourceLocation: sourceLocation)
        case .timeWait:
            enter(.finWait2, role, sourceLocation: sourceLocation)
            send([.fin, .ack])
            expect(.ack, seq: 2, ack: 2, sourceLocation: sourceLocation)
        case .closeWait:
            establish(role, sourceLocation: sourceLocation)
            send([.fin, .ack])
            expect(.ack, seq: 1, ack: 2, within: .milliseconds(500), sourceLocation: sourceLocation)
        case .lastAck:
            enter(.closeWait, role, sourceLocation: sourceLocation)
            close(sourceLocation: sourceLocation)
            expect([.fin, .ack], seq: 1, ack: 2, sourceLocation: sourceLocation)
        }
        if wanted != .listen { expectState(wanted, sourceLocation: sourceLocation) }
        expectNothing(sourceLocation: sourceLocation)
        host.events.removeAll()
    }

    /// SND.NXT of the stack in that state, as `enter` leaves it.
    static func sendNext(in state: State) -> Int {
        switch state {
        case .finWait1, .finWait2, .closing, .lastAck, .timeWait: 2
        default: 1
        }
    }

    /// RCV.NXT of the stack in that state, as `enter` leaves it.
    static func receiveNext(in state: State) -> Int {
        switch state {
        case .closeWait, .closing, .lastAck, .timeWait: 2
        default: 1
        }
    }

    /// The highest number plus one that the peer may send: RCV.NXT+RCV.WND.
    var rightEdge: Int { grantedEdge ?? 0 }
}
