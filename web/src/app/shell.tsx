import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouter } from "@tanstack/react-router";
import {
  Activity,
  Boxes,
  ChartColumn,
  FlaskConical,
  KeyRound,
  LogOut,
  MessagesSquare,
  Monitor,
  Moon,
  Play,
  Settings,
  Sun,
  TriangleAlert,
  UserKey,
  Waypoints,
} from "lucide-react";
import {
  type ComponentProps,
  type ComponentType,
  lazy,
  type RefObject,
  Suspense,
  useEffect,
  useRef,
  useState,
} from "react";
import { Focusable, RouterProvider } from "react-aria-components";
import { useTranslation } from "react-i18next";

import { Unreachable } from "@/api/client";
import { sessionQuery, signOut } from "@/api/session";
import { statusQuery } from "@/api/status";
import mark from "@/shared/mark.svg";
import { useShortcut } from "@/shared/shortcuts";
import { Button, IconButton, Segmented } from "@/shared/ui/button";
import { Callout } from "@/shared/ui/callout";
import { Tooltip } from "@/shared/ui/tooltip";

import { usePagesAhead } from "./ahead";
import { useNarrow } from "./narrow";
import styles from "./shell.module.css";
import { useTheme } from "./theme";

// Neither is in sight at first.
const ShortcutList = lazy(async () => ({ default: (await import("./shortcut-list")).ShortcutList }));
const Toasts = lazy(async () => ({ default: (await import("@/shared/ui/toast")).Toasts }));

export type Place = { to: PlaceName; key: string; page: PageName; icon: ComponentType };
type PlaceName =
  | "/"
  | "/endpoints"
  | "/traces"
  | "/sessions"
  | "/playground"
  | "/experiments"
  | "/credentials"
  | "/models"
  | "/keys"
  | "/settings";
type PageName =
  | "overview"
  | "endpoints"
  | "traces"
  | "sessions"
  | "playground"
  | "experiments"
  | "credentials"
  | "models"
  | "keys"
  | "settings";

/** Where `g` and a second key lead. */
const GROUPS: readonly { name: "observe" | "build" | "govern"; places: readonly Place[] }[] = [
  {
    name: "observe",
    places: [
      { to: "/", key: "o", page: "overview", icon: ChartColumn },
      { to: "/traces", key: "t", page: "traces", icon: Activity },
      { to: "/sessions", key: "c", page: "sessions", icon: MessagesSquare },
      { to: "/experiments", key: "x", page: "experiments", icon: FlaskConical },
    ],
  },
  {
    name: "build",
    places: [
      { to: "/endpoints", key: "e", page: "endpoints", icon: Waypoints },
      { to: "/playground", key: "p", page: "playground", icon: Play },
      { to: "/credentials", key: "r", page: "credentials", icon: KeyRound },
      { to: "/models", key: "m", page: "models", icon: Boxes },
    ],
  },
  {
    name: "govern",
    places: [
      { to: "/keys", key: "k", page: "keys", icon: UserKey },
      { to: "/settings", key: "s", page: "settings", icon: Settings },
    ],
  },
];
export const PLACES = GROUPS.flatMap((group) => group.places);

/** What stands around every page. */
export function Shell() {
  const { t } = useTranslation();
  const router = useRouter();
  const navigate = useNavigate();
  const [helping, setHelping] = useState(false);
  const [staying, setStaying] = useState<Error | null>(null);
  const status = useQuery(statusQuery);
  const content = useRef<HTMLElement>(null);
  useFocusOnArrival(content);
  usePagesAhead();
  useShortcut(["?"], () => setHelping(true));
  const go = (href: string) => void router.navigate({ href });
  return (
    <RouterProvider navigate={go}>
      <a href="#content" className={styles.skip}>
        {t("app.skip")}
      </a>
      <div className={styles.shell}>
        <nav className={styles.nav} aria-label={t("app.navigation")}>
          <Link to="/" className={styles.brand}>
            <img src={mark} width="22" height="22" alt="" />
            {/* eslint-disable-next-line i18next/no-literal-string -- the name */}
            <span>Spangate</span>
          </Link>
          {GROUPS.map((group) => (
            <div key={group.name} className={styles.group}>
              <span className={styles.groupName}>{t(`nav.${group.name}`)}</span>
              <ul>
                {group.places.map((place) => (
                  <li key={place.to}>
                    <Going place={place} />
                    <Named name={t(`nav.${place.page}`)}>
                      <Link
                        to={place.to}
                        activeOptions={{ exact: place.to === "/", includeSearch: false }}
                        className={styles.link}
                        aria-label={t(`nav.${place.page}`)}
                      >
                        <place.icon />
                        <span>{t(`nav.${place.page}`)}</span>
                      </Link>
                    </Named>
                  </li>
                ))}
              </ul>
            </div>
          ))}
          <div className={styles.bottom}>
            {status.data && !status.data.ok && (
              <Tooltip text={status.data.degraded.join("\n")} placement="right">
                <Focusable>
                  <Link
                    to="/settings"
                    className={styles.amiss}
                    aria-label={t("app.degraded", { count: status.data.degraded.length })}
                  >
                    <TriangleAlert aria-hidden="true" />
                    <span>{t("app.degraded", { count: status.data.degraded.length })}</span>
                  </Link>
                </Focusable>
              </Tooltip>
            )}
            <ThemeChoice />
            <Who onSignOut={() => void signOut().then(() => navigate({ to: "/sign-in" }), setStaying)} />
          </div>
        </nav>
        <main id="content" ref={content} className={styles.main} tabIndex={-1}>
          {staying && (
            <div className={styles.banner}>
              <Callout
                tone="bad"
                title={t("app.signOutFailed")}
                action={<Button onPress={() => setStaying(null)}>{t("common.close")}</Button>}
              >
                {staying.message || t("problems.network")}
              </Callout>
            </div>
          )}
          {status.error instanceof Unreachable && (
            <div className={styles.banner}>
              <Callout tone="warn">{t("app.offline")}</Callout>
            </div>
          )}
          <Outlet />
        </main>
      </div>
      <Suspense>
        {helping && <ShortcutList places={PLACES} isOpen onClose={() => setHelping(false)} />}
        <Toasts />
      </Suspense>
    </RouterProvider>
  );
}

/** A new page has the keyboard, and is read out, from its beginning; unless it has put the focus somewhere itself. */
function useFocusOnArrival(content: RefObject<HTMLElement | null>): void {
  const router = useRouter();
  useEffect(
    () =>
      router.subscribe("onRendered", ({ fromLocation, pathChanged }) => {
        const main = content.current;
        if (fromLocation && pathChanged && main && !main.contains(document.activeElement))
          main.focus({ preventScroll: true });
      }),
    [router, content],
  );
}

/** What an icon stands for, while it stands alone. */
function Named({ name, children }: { name: string; children: ComponentProps<typeof Focusable>["children"] }) {
  return (
    <Tooltip text={name} placement="right" isDisabled={!useNarrow()}>
      <Focusable>{children}</Focusable>
    </Tooltip>
  );
}

/** The place's shortcut; draws nothing. */
function Going({ place }: { place: Place }) {
  const navigate = useNavigate();
  useShortcut(["g", place.key], () => void navigate({ to: place.to }));
  return null;
}

function ThemeChoice() {
  const { t } = useTranslation();
  const [theme, setTheme] = useTheme();
  const narrow = useNarrow();
  return (
    <div className={styles.theme}>
      <Segmented
        label={t("app.theme.label")}
        orientation={narrow ? "vertical" : "horizontal"}
        value={theme}
        onChange={setTheme}
        options={[
          { value: "system", label: <Monitor />, name: t("app.theme.system") },
          { value: "light", label: <Sun />, name: t("app.theme.light") },
          { value: "dark", label: <Moon />, name: t("app.theme.dark") },
        ]}
      />
    </div>
  );
}

function Who({ onSignOut }: { onSignOut: () => void }) {
  const { t } = useTranslation();
  const { data } = useQuery(sessionQuery);
  const narrow = useNarrow();
  const { name, role } = data ?? { name: "", role: "" };
  const who = name === role ? name : t("app.signedInAs", { name, role });
  return (
    <div className={styles.who}>
      <span className="truncate">{who}</span>
      <IconButton
        label={narrow ? t("app.signOutAs", { who }) : t("app.signOut")}
        icon={<LogOut />}
        onPress={onSignOut}
      />
    </div>
  );
}
