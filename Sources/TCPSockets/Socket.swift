import TCPStack
import TCPWire

/// What a descriptor names: an open file description, as POSIX calls it.
enum Description {
    case socket(Socket)
}

/// A TCP socket: what its program asked for, and the connection or listener behind it.
final class Socket {
    /// What stands behind a socket.
    enum Role {
        /// Nothing yet, or nothing any more.
        case none
        case listener(ListenerID)
        case connection(ConnectionID)
    }

    let family: AddressFamily
    var role = Role.none
    /// O_NONBLOCK.
    var isNonBlocking = false
    /// FD_CLOEXEC, which nothing here acts upon.
    var closesOnExec = false

    init(family: AddressFamily) { self.family = family }
}
