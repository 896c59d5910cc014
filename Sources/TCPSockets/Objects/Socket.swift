import TCPEngine
import TCPStack
import TCPWire

/// What a descriptor names: an open file description, as POSIX calls it.
enum Description {
    case socket(Socket)
    case epoll(Epoll)
    case pipe(PipeEnd)
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

    /// What `bind` chose; the port is there once a connection or a listener has one.
    var bound: SocketAddress?
    /// `connect` began and was not answered for yet: the next call learns how it went.
    var isConnecting = false
    /// `connect` has returned zero, or `accept` made it.
    var isConnected = false
    /// TCP_FASTOPEN_CONNECT: `connect` has returned, and the first write opens the connection to this address.
    var deferredPeer: SocketAddress?
    /// The peer's FIN came.
    var sawEnd = false
    /// Half closes of this side.
    var shutRead = false
    var shutWrite = false
    /// What the next call, or SO_ERROR, reports, once.
    var error = Errno.none
    /// What ICMP told of a connection that lives on.
    var softError = Errno.none
    var options = SocketOptions()
    /// Octets read and written since the connection began.
    var octetsRead: UInt64 = 0
    var octetsWritten: UInt64 = 0
    /// Connections taken from the listener that TCP_DEFER_ACCEPT keeps from `accept`, with the end of their waiting.
    var deferred: [(ConnectionID, Instant)] = []
    /// Something came or left since pollers last looked.
    var stirred: Int16 = 0

    init(family: AddressFamily) { self.family = family }

    var connection: ConnectionID? {
        if case .connection(let id) = role { return id }
        return nil
    }

    var listener: ListenerID? {
        if case .listener(let id) = role { return id }
        return nil
    }

    /// Takes the error that waits to be reported.
    func takeError() -> Errno {
        defer { error = .none }
        return error
    }

    /// Forgets the connection there was.
    func reset() {
        role = .none
        deferredPeer = nil
        isConnecting = false
        isConnected = false
        sawEnd = false
        shutRead = false
        shutWrite = false
        octetsRead = 0
        octetsWritten = 0
    }
}

/// What `setsockopt` chose.
struct SocketOptions {
    var reuseAddress = false
    var reusePort = false
    var keepAlive = false
    var keepAliveIdle: Duration
    var keepAliveInterval: Duration
    var keepAliveProbes: Int
    /// SO_LINGER: seconds, `nil` is off.
    var linger: Int?
    /// SO_RCVTIMEO and SO_SNDTIMEO; `nil` is without limit.
    var receiveTimeout: Duration?
    var sendTimeout: Duration?
    var receiveLowWater = 1
    /// SO_RCVBUF and SO_SNDBUF in octets; `nil` is the kernel's.
    var receiveBuffer: Int?
    var sendBuffer: Int?
    var noDelay = false
    var cork = false
    /// TCP_USER_TIMEOUT in milliseconds; zero is the kernel's.
    var userTimeout = 0
    /// TCP_MAXSEG in octets; zero is the interface's.
    var maximumSegmentSize = 0
    var notSentLowWater: Int?
    /// TCP_CONGESTION; `nil` is the kernel's.
    var congestionControl: CongestionControl?
    /// SO_MAX_PACING_RATE in octets a second; `nil` is without limit.
    var maximumPacingRate: UInt64?
    var windowClamp = 0
    /// TCP_SYNCNT: SYNs sent again; zero is the kernel's.
    var synRetries = 0
    /// TCP_DEFER_ACCEPT in seconds.
    var deferAccept = 0
    /// TCP_FASTOPEN: how many connections of a listener may be pending.
    var fastOpenQueue = 0
    /// TCP_FASTOPEN_CONNECT.
    var fastOpenConnect = false
    /// TCP_QUICKACK, when it was set.
    var quickAcknowledgments: Bool?
    /// TCP_INQ.
    var tellsQueue = false
    /// IP_TOS or IPV6_TCLASS, the ECN bits left out.
    var trafficClass: UInt8 = 0
    var hopLimit: UInt8?
    var onlyIPv6 = false
    /// Options that are kept and given back, and mean nothing to TCP over one interface.
    var inert: [OptionName: Int32] = [:]

    init(_ settings: KernelSettings = KernelSettings()) {
        keepAliveIdle = settings.keepAliveIdle
        keepAliveInterval = settings.keepAliveInterval
        keepAliveProbes = settings.keepAliveProbes
    }

    /// The same as the stack is told it.
    var forConnection: ConnectionOptions {
        var result = ConnectionOptions()
        result.noDelay = noDelay
        result.keepAliveIdle = keepAlive ? keepAliveIdle : nil
        result.keepAliveInterval = keepAliveInterval
        result.keepAliveProbes = keepAliveProbes
        if userTimeout > 0 { result.userTimeout = .milliseconds(userTimeout) }
        result.differentiatedServices = trafficClass >> 2
        result.hopLimit = hopLimit
        result.corks = cork
        result.congestionControl = congestionControl
        result.maximumPacingRate = maximumPacingRate.map { Int(clamping: $0) }
        result.fastOpen = false
        result.quickAcknowledgments = quickAcknowledgments.map { $0 ? KernelSettings.quickAcknowledgments : 0 }
        if maximumSegmentSize > 0 { result.maximumSegmentSize = maximumSegmentSize }
        var room = receiveBuffer
        if windowClamp > 0 { room = min(room ?? Int.max, windowClamp) }
        result.receiveBuffer = room
        return result
    }
}

extension SocketOptions {
    /// The same for a listener: TCP_FASTOPEN is its affair.
    func forListener(_ settings: KernelSettings) -> ConnectionOptions {
        var result = forConnection
        result.explicitCongestionNotification = settings.acceptedECN
        let isOn = settings.fastOpen & 2 != 0
        result.fastOpen = isOn && (fastOpenQueue > 0 || settings.fastOpen & 0x400 != 0)
        if fastOpenQueue > 0 { result.fastOpenPending = fastOpenQueue }
        return result
    }
}

/// A level and a name.
struct OptionName: Hashable {
    var level: Int32
    var name: Int32
}
