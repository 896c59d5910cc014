// The names are the manual's.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// An error number of Linux, with its name.
public struct Errno: Error, RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// Linux's number.
    public var rawValue: Int32

    /// Makes one from Linux's number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Makes one from its name, as `ECONNRESET`; `nil` for a name that is not known. EWOULDBLOCK and ENOTSUP are other names
    /// of EAGAIN and EOPNOTSUPP.
    public init?(name: String) {
        let name = name == "EWOULDBLOCK" ? "EAGAIN" : name == "ENOTSUP" ? "EOPNOTSUPP" : name
        guard let entry = Errno.names.first(where: { $0.name == name }) else { return nil }
        rawValue = entry.number
    }

    /// No error.
    public static let none = Errno(rawValue: 0)
    /// EPERM.
    public static let EPERM = Errno(rawValue: 1)
    /// ENOENT.
    public static let ENOENT = Errno(rawValue: 2)
    /// EINTR.
    public static let EINTR = Errno(rawValue: 4)
    /// EBADF.
    public static let EBADF = Errno(rawValue: 9)
    /// EAGAIN.
    public static let EAGAIN = Errno(rawValue: 11)
    /// ENOMEM.
    public static let ENOMEM = Errno(rawValue: 12)
    /// EACCES.
    public static let EACCES = Errno(rawValue: 13)
    /// EFAULT.
    public static let EFAULT = Errno(rawValue: 14)
    /// EBUSY.
    public static let EBUSY = Errno(rawValue: 16)
    /// EEXIST.
    public static let EEXIST = Errno(rawValue: 17)
    /// EINVAL.
    public static let EINVAL = Errno(rawValue: 22)
    /// EMFILE.
    public static let EMFILE = Errno(rawValue: 24)
    /// ENOTTY.
    public static let ENOTTY = Errno(rawValue: 25)
    /// ESPIPE.
    public static let ESPIPE = Errno(rawValue: 29)
    /// EPIPE.
    public static let EPIPE = Errno(rawValue: 32)
    /// ENOSYS.
    public static let ENOSYS = Errno(rawValue: 38)
    /// ELOOP.
    public static let ELOOP = Errno(rawValue: 40)
    /// ENOTSOCK.
    public static let ENOTSOCK = Errno(rawValue: 88)
    /// EDESTADDRREQ.
    public static let EDESTADDRREQ = Errno(rawValue: 89)
    /// EMSGSIZE.
    public static let EMSGSIZE = Errno(rawValue: 90)
    /// ENOPROTOOPT.
    public static let ENOPROTOOPT = Errno(rawValue: 92)
    /// EPROTONOSUPPORT.
    public static let EPROTONOSUPPORT = Errno(rawValue: 93)
    /// ESOCKTNOSUPPORT.
    public static let ESOCKTNOSUPPORT = Errno(rawValue: 94)
    /// EOPNOTSUPP.
    public static let EOPNOTSUPP = Errno(rawValue: 95)
    /// EAFNOSUPPORT.
    public static let EAFNOSUPPORT = Errno(rawValue: 97)
    /// EADDRINUSE.
    public static let EADDRINUSE = Errno(rawValue: 98)
    /// EADDRNOTAVAIL.
    public static let EADDRNOTAVAIL = Errno(rawValue: 99)
    /// ENETUNREACH.
    public static let ENETUNREACH = Errno(rawValue: 101)
    /// ECONNABORTED.
    public static let ECONNABORTED = Errno(rawValue: 103)
    /// ECONNRESET.
    public static let ECONNRESET = Errno(rawValue: 104)
    /// ENOBUFS.
    public static let ENOBUFS = Errno(rawValue: 105)
    /// EISCONN.
    public static let EISCONN = Errno(rawValue: 106)
    /// ENOTCONN.
    public static let ENOTCONN = Errno(rawValue: 107)
    /// ETIMEDOUT.
    public static let ETIMEDOUT = Errno(rawValue: 110)
    /// ECONNREFUSED.
    public static let ECONNREFUSED = Errno(rawValue: 111)
    /// EHOSTUNREACH.
    public static let EHOSTUNREACH = Errno(rawValue: 113)
    /// EALREADY.
    public static let EALREADY = Errno(rawValue: 114)
    /// EINPROGRESS.
    public static let EINPROGRESS = Errno(rawValue: 115)
    /// EDOM.
    public static let EDOM = Errno(rawValue: 33)

    /// The name, as `ECONNRESET`; the number in words when it has none here.
    public var name: String { Errno.names.first { $0.number == rawValue }?.name ?? "error \(rawValue)" }

    /// The name.
    public var description: String { name }

    private static let names: [(number: Int32, name: String)] = [
        (1, "EPERM"), (2, "ENOENT"), (4, "EINTR"), (5, "EIO"), (6, "ENXIO"),
        (9, "EBADF"), (11, "EAGAIN"), (12, "ENOMEM"), (13, "EACCES"), (14, "EFAULT"),
        (16, "EBUSY"), (17, "EEXIST"), (19, "ENODEV"), (20, "ENOTDIR"), (22, "EINVAL"),
        (23, "ENFILE"), (24, "EMFILE"), (25, "ENOTTY"), (27, "EFBIG"), (28, "ENOSPC"),
        (29, "ESPIPE"), (32, "EPIPE"), (33, "EDOM"), (34, "ERANGE"), (36, "ENAMETOOLONG"),
        (38, "ENOSYS"), (40, "ELOOP"), (71, "EPROTO"), (75, "EOVERFLOW"), (88, "ENOTSOCK"),
        (89, "EDESTADDRREQ"), (90, "EMSGSIZE"), (91, "EPROTOTYPE"), (92, "ENOPROTOOPT"), (93, "EPROTONOSUPPORT"),
        (94, "ESOCKTNOSUPPORT"), (95, "EOPNOTSUPP"), (96, "EPFNOSUPPORT"), (97, "EAFNOSUPPORT"), (98, "EADDRINUSE"),
        (99, "EADDRNOTAVAIL"), (100, "ENETDOWN"), (101, "ENETUNREACH"), (102, "ENETRESET"), (103, "ECONNABORTED"),
        (104, "ECONNRESET"), (105, "ENOBUFS"), (106, "EISCONN"), (107, "ENOTCONN"), (108, "ESHUTDOWN"),
        (109, "ETOOMANYREFS"), (110, "ETIMEDOUT"), (111, "ECONNREFUSED"), (112, "EHOSTDOWN"), (113, "EHOSTUNREACH"),
        (114, "EALREADY"), (115, "EINPROGRESS"), (125, "ECANCELED"),
    ]
}
