"""What a relation has besides columns and rows: grants, options of a view, row security and its policies.

They are read before a relation is dropped or replaced and put back after it. What the profiles
read is set by `storage.auth.rights`.
"""

from __future__ import annotations

import sqlalchemy as sa

from fleet_audit.marts.model import Relation
from fleet_audit.storage.auth.rights import ROLES

# one statement per row, in the order in which they are to be run
_STATEMENTS = """
with relation as (
    select oid, relkind, relowner, relacl, reloptions, relrowsecurity, relforcerowsecurity, oid::regclass::text as name
    from pg_class where oid = to_regclass(:relation)
),

granted as (
    select cast(null as text) as column_name, acl.* from relation cross join aclexplode(relation.relacl) as acl
    union all
    select columns.attname, acl.*
    from relation
    inner join pg_attribute as columns on relation.oid = columns.attrelid and not columns.attisdropped
    cross join aclexplode(columns.attacl) as acl
)

select format('alter view %s set (%s)', name, array_to_string(reloptions, ', ')) as statement
from relation where relkind = 'v' and reloptions is not null
union all
select format('alter table %s enable row level security', name) from relation
where
    relrowsecurity
    and exists (select 1 from pg_policy where polrelid = relation.oid and not polname = any(cast(:ours as text [])))
union all
select format('alter table %s force row level security', name) from relation where relforcerowsecurity
union all
select
    format(
        'create policy %I on %s as %s for %s to %s%s%s', policyname, name, permissive, cmd,
        (select string_agg(quote_ident(role), ', ') from unnest(roles) as role),
        ' using (' || qual || ')', ' with check (' || with_check || ')'
    )
from relation
inner join pg_policies on format('%I.%I', schemaname, tablename)::regclass = relation.oid
where not policyname = any(cast(:ours as text []))
union all
select
    format(
        'grant %s%s on %s to %s%s', granted.privilege_type,
        coalesce(' (' || quote_ident(granted.column_name) || ')', ''), relation.name,
        case granted.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(granted.grantee)) end,
        case when granted.is_grantable then ' with grant option' else '' end
    )
from relation cross join granted
where
    granted.grantee <> relation.relowner
    and (granted.grantee = 0 or not pg_get_userbyid(granted.grantee) = any(cast(:ours as text [])))
"""


def rights_of(connection: sa.Connection, relation: Relation) -> list[str]:
    """The statements that give a relation of this name, created again, the rights that it has now.

    Those of the profiles' roles are not among them: `storage.auth.rights` sets them for the columns it has then.
    """
    found = connection.execute(sa.text(_STATEMENTS), {"relation": str(relation), "ours": list(ROLES)})
    return list(found.scalars())
