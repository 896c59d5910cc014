/// How a connection ended, or why a call on it cannot be carried out, in the RFC's terms.
public enum ConnectionError: UInt8, Error, Sendable {
    /// "Connection refused": the peer answered the SYN with a reset (RFC 9293 §3.10.7.3).
    case refused
    /// "Connection reset": the peer aborted the connection.
    case reset
    /// "Connection aborted due to user timeout": nothing was acknowledged for as long as R2 allows (RFC 9293 §3.8.3).
    case timedOut
    /// The network says that the peer cannot be reached, and nothing has come from it.
    case unreachable
    /// The local user aborted the connection.
    case aborted
    /// "Connection closing": there was a CLOSE before this SEND.
    case closing
    /// "Connection does not exist": the handle is of a connection that was released.
    case notOpen
    /// The memory budget has no room for it; try again when something else has ended.
    case noMemory

    /// What happened, in one sentence for a person.
    public var explanation: String {
        switch self {
        case .refused: "The peer refused the connection: nothing listens on that port."
        case .reset: "The peer reset the connection."
        case .timedOut: "The peer did not answer in time."
        case .unreachable: "The network reports that the peer cannot be reached."
        case .aborted: "The connection was aborted on this side."
        case .closing: "This side has closed its direction: nothing more can be sent."
        case .notOpen: "There is no such connection."
        case .noMemory: "The memory budget is used up."
        }
    }
}
