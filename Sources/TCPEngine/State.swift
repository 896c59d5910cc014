/// The eleven states of a connection (RFC 9293 §3.3.2).
public enum State: UInt8, Sendable, CaseIterable {
    /// No connection at all.
    case closed
    /// Waiting for a connection request from any peer.
    case listen
    /// A SYN was sent; a matching one is awaited.
    case synSent
    /// A SYN was received and one was sent; its acknowledgment is awaited.
    case synReceived
    /// Open: data flows both ways.
    case established
    /// A FIN was sent, or waits behind data to send; its acknowledgment is awaited.
    case finWait1
    /// The FIN sent was acknowledged; the peer's is awaited.
    case finWait2
    /// The peer's FIN came; the local user's CLOSE is awaited.
    case closeWait
    /// Both FINs crossed; the acknowledgment of ours is awaited.
    case closing
    /// The peer's FIN came first, ours was sent; its acknowledgment is awaited.
    case lastAck
    /// Both directions are closed; old segments get 2 MSL to die out.
    case timeWait

    /// The RFC's name of the state, as `SYN-SENT`.
    public var name: String {
        switch self {
        case .closed: "CLOSED"
        case .listen: "LISTEN"
        case .synSent: "SYN-SENT"
        case .synReceived: "SYN-RECEIVED"
        case .established: "ESTABLISHED"
        case .finWait1: "FIN-WAIT-1"
        case .finWait2: "FIN-WAIT-2"
        case .closeWait: "CLOSE-WAIT"
        case .closing: "CLOSING"
        case .lastAck: "LAST-ACK"
        case .timeWait: "TIME-WAIT"
        }
    }
}

extension State: CustomStringConvertible {
    /// The RFC's name.
    public var description: String { name }
}
