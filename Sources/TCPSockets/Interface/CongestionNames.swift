public import TCPEngine

extension CongestionControl {
    /// What Linux calls it: `cubic`, `reno`, `bbr`.
    public var linuxName: String {
        switch self {
        case .cubic: "cubic"
        case .newReno: "reno"
        case .bbr: "bbr"
        }
    }

    /// The control that Linux, or FreeBSD (`newreno`), calls so; `nil` when there is none here.
    public init?(linuxName: String) {
        switch linuxName {
        case "cubic": self = .cubic
        case "reno", "newreno": self = .newReno
        case "bbr": self = .bbr
        default: return nil
        }
    }
}
